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
    }),
  }),
)

/** A passing instance as Consul has it. */
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
}

/** @throws ConsulError where the body is no catalog. */
export function parseCatalog(body: unknown): ReadonlyMap<string, readonly string[]> {
  const catalog = parse('GET /v1/catalog/services', catalogSchema, body)
  return new Map(Object.entries(catalog).map(([name, tags]) => [name, tags ?? []]))
}

/** @throws ConsulError where the body is no list of instances. */
export function parseInstances(service: string, body: unknown): readonly ConsulInstance[] {
  const entries = parse(`GET /v1/health/service/${service}`, instancesSchema, body)
  return entries.map(({ Node, Service }) => ({
    id: Service.ID,
    node: Node.Node,
    kind: Service.Kind ?? '',
    address: Service.Address || Node.Address,
    port: Service.Port,
    tags: Service.Tags ?? [],
    meta: Service.Meta ?? {},
    createIndex: Service.CreateIndex ?? Number.MAX_SAFE_INTEGER,
  }))
}

function parse<T>(what: string, schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const place = result.error.issues[0]?.path.join('.')
  throw new ConsulError(`Consul: ${what}: a reply of an unexpected form${place ? ` at ${place}` : ''}`)
}
