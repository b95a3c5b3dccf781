import type { EndpointSlice, KubernetesService, ServicePort } from './objects.ts'

/** How a Service's port is found in its slices. */
export type ChosenPort =
  /** By the name it has in Service and slice alike; empty for an only port. */
  | { readonly kind: 'named'; readonly name: string; readonly appProtocol: string | undefined }
  /** As it stands: a headless Service need not name its ports. */
  | { readonly kind: 'number'; readonly port: number }
  | { readonly kind: 'first' }

/**
 * Chooses the port that the description asks for: by name, by the Service's number, or by the number its pods
 * listen on; the Service's first port where it asks for none.
 *
 * @returns what was expected, where the Service has no such port.
 */
export function choosePort(
  { ports }: Pick<KubernetesService, 'ports'>,
  asked: number | string | undefined,
): ChosenPort | { readonly expected: string } {
  if (asked === undefined) return ports[0] === undefined ? { kind: 'first' } : named(ports[0])
  if (ports.length === 0 && typeof asked === 'number') return { kind: 'number', port: asked }
  const found =
    typeof asked === 'string'
      ? ports.find(({ name }) => name === asked)
      : (ports.find(({ port }) => port === asked) ?? ports.find(({ targetPort }) => targetPort === asked))
  if (found !== undefined) return named(found)
  const all = ports.map(({ name, port }) => (name === '' ? port : `${name} (${port})`))
  return { expected: `one of its TCP ports: ${all.join(', ') || 'it has none'}` }
}

/** The number to connect to for endpoints of this slice; undefined where they do not have the port. */
export function portIn({ ports }: Pick<EndpointSlice, 'ports'>, chosen: ChosenPort): number | undefined {
  if (chosen.kind === 'named') return ports.get(chosen.name)
  if (chosen.kind === 'first') return ports.values().next().value
  return ports.size === 0 || [...ports.values()].includes(chosen.port) ? chosen.port : undefined
}

/** KEP-3726's names for what a port speaks, as far as they mean TLS. */
export function speaksTls(appProtocol: string | undefined): boolean {
  return /^(?:https|kubernetes\.io\/wss)$/i.test(appProtocol ?? '')
}

/** The one of KEP-3726's names that means no HTTP/1.1. */
export function isHttp2Only(appProtocol: string | undefined): boolean {
  return /^kubernetes\.io\/h2c$/i.test(appProtocol ?? '')
}

function named({ name, appProtocol }: ServicePort): ChosenPort {
  return { kind: 'named', name, appProtocol }
}
