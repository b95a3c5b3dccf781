import { z } from 'zod'

// Go writes an empty list or map as null, and leaves out what has its zero value.

/** What both kinds have of the watch protocol. */
export const metadataSchema = z.object({
  name: z.string(),
  namespace: z.string(),
  resourceVersion: z.string(),
})

const strings = z.record(z.string(), z.string()).nullish()
const portOf = z.union([z.int(), z.string()])

const serviceSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    creationTimestamp: z.string().nullish(),
    annotations: strings,
  }),
  spec: z.object({
    type: z.string().nullish(),
    ipFamilies: z.array(z.string()).nullish(),
    ports: z
      .array(
        z.object({
          name: z.string().nullish(),
          protocol: z.string().nullish(),
          port: z.int(),
          targetPort: portOf.nullish(),
          appProtocol: z.string().nullish(),
        }),
      )
      .nullish(),
  }),
})

const sliceSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string(), labels: strings }),
  addressType: z.string(),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()).nullish(),
        conditions: z
          .object({
            ready: z.boolean().nullish(),
            serving: z.boolean().nullish(),
            terminating: z.boolean().nullish(),
          })
          .nullish(),
        hints: z.object({ forZones: z.array(z.object({ name: z.string() })).nullish() }).nullish(),
        targetRef: z.object({ name: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
  ports: z
    .array(z.object({ name: z.string().nullish(), protocol: z.string().nullish(), port: z.int().nullish() }))
    .nullish(),
})

export interface ServicePort {
  /** Empty for a Service's only port, which needs no name. */
  readonly name: string
  readonly port: number
  readonly targetPort: number | string | undefined
  readonly appProtocol: string | undefined
}

/** A Service (core/v1), as far as it concerns the gateway. */
export interface KubernetesService {
  readonly namespace: string
  readonly name: string
  readonly type: string
  /** RFC 3339; later for one that says nothing. */
  readonly createdAt: string
  /** Those of our prefix, without it. */
  readonly annotations: Readonly<Record<string, string>>
  /** The preferred one first. */
  readonly ipFamilies: readonly string[]
  /** TCP's only: HTTP runs over nothing else here. */
  readonly ports: readonly ServicePort[]
}

/** One address of an endpoint. */
export interface Endpoint {
  readonly address: string
  readonly target: string
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  /** Zones it is hinted for; undefined where it has no hints. */
  readonly zones: readonly string[] | undefined
}

/** An EndpointSlice (discovery.k8s.io/v1), as far as it concerns the gateway. */
export interface EndpointSlice {
  readonly namespace: string
  readonly name: string
  /** The Service it belongs to. */
  readonly service: string
  readonly addressType: string
  readonly endpoints: readonly Endpoint[]
  /** TCP's only. Port name → number. */
  readonly ports: ReadonlyMap<string, number>
}

/** @returns undefined for a Service that says nothing of `enable`. */
export function parseService(object: unknown, annotationPrefix: string): KubernetesService | undefined {
  // Most Services of a cluster are not ours: this look is cheaper than the whole schema.
  const { metadata: glance } = object as { metadata?: { annotations?: Record<string, unknown> | null } }
  if (glance?.annotations?.[`${annotationPrefix}enable`] === undefined) return undefined
  const { metadata, spec } = serviceSchema.parse(object)
  const ours = Object.entries(metadata.annotations ?? {})
    .filter(([key]) => key.startsWith(annotationPrefix))
    .map(([key, value]) => [key.slice(annotationPrefix.length), value])
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    type: spec.type ?? 'ClusterIP',
    createdAt: metadata.creationTimestamp ?? '9999',
    annotations: Object.fromEntries(ours),
    ipFamilies: spec.ipFamilies ?? [],
    ports: (spec.ports ?? []).filter(isTcp).map((port) => ({
      name: port.name ?? '',
      port: port.port,
      targetPort: port.targetPort ?? undefined,
      appProtocol: port.appProtocol ?? undefined,
    })),
  }
}

/** @returns undefined for a slice that belongs to no Service. */
export function parseSlice(object: unknown): EndpointSlice | undefined {
  const { metadata, addressType, endpoints, ports } = sliceSchema.parse(object)
  const service = metadata.labels?.['kubernetes.io/service-name']
  if (!service) return undefined
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    service,
    addressType,
    endpoints: (endpoints ?? []).flatMap(({ addresses, conditions, hints, targetRef }) => {
      // Where there are several they are the same endpoint's, and the first is to be used.
      const address = addresses?.[0]
      if (address === undefined) return []
      // Null is "unknown", which the API wants taken for ready; serving then follows ready.
      const ready = conditions?.ready ?? true
      const zones = hints?.forZones?.map(({ name }) => name)
      return [
        {
          address,
          target: targetRef?.name ?? '',
          ready,
          serving: conditions?.serving ?? ready,
          terminating: conditions?.terminating ?? false,
          zones,
        },
      ]
    }),
    ports: new Map(
      (ports ?? []).filter(isTcp).flatMap(({ name, port }) => (port == null ? [] : [[name ?? '', port]])),
    ),
  }
}

function isTcp({ protocol }: { protocol?: string | null | undefined }): boolean {
  return (protocol ?? 'TCP') === 'TCP'
}
