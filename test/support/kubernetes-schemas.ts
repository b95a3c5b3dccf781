/** An object as it is handed to the API server. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
}

interface Model {
  readonly prototype: { validate(this: unknown): void }
}

/**
 * Checks an object against the schemas of Kubernetes 1.36, of the Gateway API and of the Prometheus operator, as the
 * kubernetes-models packages have them compiled from the official OpenAPI documents.
 *
 * They let unknown fields pass, as the documents do. But a validator asks for every field that its schema knows, so
 * an object that remembers what it was asked for tells the others.
 *
 * @returns one line for each fault
 */
export async function schemaFaults(object: Manifest): Promise<readonly string[]> {
  const model = await modelOf(object)
  if (model === undefined) return [`no schema of ${object.apiVersion} ${object.kind}`]
  const asked = new WeakMap<object, Set<PropertyKey>>()
  try {
    model.prototype.validate.call(remembering(object, asked))
  } catch (error) {
    const { errors = [] } = error as { errors?: readonly { instancePath: string; message?: string }[] }
    if (errors.length === 0) throw error
    return errors.map(({ instancePath, message }) => `${instancePath}: ${message}`)
  }
  return unasked(object, asked, '')
}

async function modelOf({ apiVersion, kind }: Manifest): Promise<Model | undefined> {
  const models: Record<string, Model> = apiVersion.startsWith('gateway.networking.k8s.io/')
    ? await import('@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1')
    : apiVersion.startsWith('monitoring.coreos.com/')
      ? await import('@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1')
      : await import(`kubernetes-models/${apiVersion}`)
  return models[kind]
}

function remembering<T extends object>(value: T, asked: WeakMap<object, Set<PropertyKey>>): T {
  const names = new Set<PropertyKey>()
  asked.set(value, names)
  const proxies = new Map<PropertyKey, unknown>()
  return new Proxy(value, {
    get(target, name) {
      names.add(name)
      const found: unknown = Reflect.get(target, name)
      if (typeof found !== 'object' || found === null) return found
      if (!proxies.has(name)) proxies.set(name, remembering(found, asked))
      return proxies.get(name)
    },
  })
}

function unasked(value: unknown, asked: WeakMap<object, Set<PropertyKey>>, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  // Whatever may be there (`x-kubernetes-preserve-unknown-fields`), nothing of it is asked for.
  const names = asked.get(value)
  return Object.entries(value).flatMap(([name, inner]) =>
    names?.has(name) ? unasked(inner, asked, `${path}/${name}`) : [`${path}/${name}: is not known`],
  )
}
