import { z } from 'zod'
import { ConsulError } from './client.ts'

/** Go writes an empty list or map as `null`. */
const strings = z.array(z.string()).nullish()

const catalogSchema = z.record(z.string(), strings)

const instancesSchema = z.array(
  z.object({
    Node: z.object({ Node: z.string(), Address: z.string() }),
    Service: z.object({
      ID: z.string(),
      /** Empty for an ordinary service, `connect-proxy` and the like for the mesh's own. */
      Kind: z.string().optional(),
      Address: z.string().optional(),
      Port: z.number(),
      Tags: strings,
      Meta: z.record(z.string(), z.string()).nullish(),
      CreateIndex: z.number().optional(),
      Weights: z.object({ Passing: z.number().min(0), Warning: z.number().min(0) }).nullish(),
    }),
    Checks: z.array(z.object({ Status: z.string() })).nullish(),
  }),
)

/** An instance that passes its checks, if with a warning, as Consul has it. */
export interface ConsulInstance {
  readonly id: string
  readonly node: string
  readonly kind: string
  readonly address: string
  readonly port: number
  readonly tags: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  /** Grows with every registration: the smaller, the older. */
  readonly createIndex: number
  /** Of its `Weights` the one that its checks call for. */
  readonly weight: number
}

/** Consul names a service and gives none of its instances: it has just left, or the token may not see its nodes. */
export class NoInstanceVisible extends ConsulError {
  override name = 'NoInstanceVisible'
}

/**
 * A catalog without even Consul's own service is none: Consul refuses a token without `service:read` by leaving
 * everything out, with 200.
 *
 * @throws ConsulError where the body is no catalog, or an empty one.
 */
export function parseCatalog(body: unknown): ReadonlyMap<string, readonly string[]> {
  const what = 'GET /v1/catalog/services'
  const catalog = parse(what, catalogSchema, body)
  if (Object.keys(catalog).length === 0) {
    throw new ConsulError(
      `Consul: ${what}: an empty catalog: expected a token with service:read and node:read, of the service consul too`,
    )
  }
  return new Map(Object.entries(catalog).map(([name, tags]) => [name, tags ?? []]))
}

/**
 * Leaves out the instances with a critical check. One with a warning stays, as it does in Consul's own DNS and mesh:
 * what it takes then is for its `Weights.Warning` to say.
 *
 * @throws ConsulError where the body is no list of instances; NoInstanceVisible where it is an empty one.
 */
export function parseInstances(service: string, body: unknown): readonly ConsulInstance[] {
  const what = `GET /v1/health/service/${service}`
  const entries = parse(what, instancesSchema, body)
  if (entries.length === 0) {
    throw new NoInstanceVisible(
      `Consul: ${what}: no instance, though the catalog names the service: expected a token with node:read`,
    )
  }
  return entries.filter(isUsable).map(({ Node, Service, Checks }) => ({
    id: Service.ID,
    node: Node.Node,
    kind: Service.Kind ?? '',
    address: Service.Address || Node.Address,
    port: Service.Port,
    tags: Service.Tags ?? [],
    meta: Service.Meta ?? {},
    createIndex: Service.CreateIndex ?? Number.MAX_SAFE_INTEGER,
    weight:
      (Checks?.every(isPassing) ?? true) ? (Service.Weights?.Passing ?? 1) : (Service.Weights?.Warning ?? 1),
  }))
}

type Check = { readonly Status: string }

const isPassing = ({ Status }: Check) => Status === 'passing'

function isUsable({ Checks }: { readonly Checks?: readonly Check[] | null | undefined }): boolean {
  return (Checks ?? []).every((check) => isPassing(check) || check.Status === 'warning')
}

function parse<T>(what: string, schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const place = result.error.issues[0]?.path.join('.')
  throw new ConsulError(`Consul: ${what}: a reply of an unexpected form${place ? ` at ${place}` : ''}`)
}
