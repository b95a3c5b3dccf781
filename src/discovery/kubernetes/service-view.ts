import { shown } from '../../config/fault.ts'
import type { Log } from '../../observability/log.ts'
import type { Description } from '../description.ts'
import type { Instance } from '../source.ts'
import { readAnnotations } from './annotations.ts'
import { chooseEndpoints } from './endpoints.ts'
import type { EndpointSlice, KubernetesService } from './objects.ts'
import { type ChosenPort, choosePort, isHttp2Only, portIn, speaksTls } from './ports.ts'

/** What a Service comes to, but for its published name. */
export interface Routed {
  readonly instances: readonly Instance[]
  readonly description: Description
}

/** Remembers what one Service last said that holds, and makes routes and instances of it. */
export interface ServiceView {
  /** @returns undefined for a Service that must not be published. */
  update(service: KubernetesService, slices: readonly EndpointSlice[]): Routed | undefined
}

export interface ServiceViewOptions {
  readonly annotationPrefix: string
  readonly zone: string | undefined
  readonly log: Log
  /** What it said before this watch began. */
  readonly lastDescription: Description | undefined
}

/**
 * A Service that says something illegible keeps the last description that held; without one it is not routed,
 * since the closed door is the safe reading of `auth: nonee`.
 */
export function createServiceView(options: ServiceViewOptions): ServiceView {
  const { annotationPrefix, zone, log, lastDescription } = options
  let held = lastDescription
  let reported = new Set<string>()

  /** Each complaint once, until it goes away. */
  function report({ namespace, name }: KubernetesService, complaints: readonly string[]): void {
    for (const complaint of complaints) {
      if (reported.has(complaint)) continue
      log.warn(
        { source: 'kubernetes', namespace, service: name },
        `kubernetes: service ${name} in namespace ${namespace}: ${complaint}`,
      )
    }
    reported = new Set(complaints)
  }

  return {
    update(service, slices) {
      const { enabled, description, faults } = readAnnotations(service.annotations, annotationPrefix)
      const complaints = enabled ? [...faults] : []
      const routed = enabled ? route(service, slices, description, complaints) : undefined
      report(service, complaints)
      return routed
    },
  }

  function route(
    service: KubernetesService,
    slices: readonly EndpointSlice[],
    said: Description | undefined,
    complaints: string[],
  ): Routed | undefined {
    if (service.type === 'ExternalName') {
      complaints.push('it is not routed: found type ExternalName, expected one with endpoints')
      return undefined
    }
    const chosen = said && choosePort(service, said.port)
    if (chosen !== undefined && 'expected' in chosen) {
      const written = `annotation ${shown(`${annotationPrefix}port: ${said?.port}`)}`
      complaints.push(`${written}: expected ${chosen.expected}`)
    }
    const legible = chosen !== undefined && !('expected' in chosen)
    const description = legible ? said : held
    if (description === undefined) {
      complaints.push('it is not routed: not everything it says holds')
      return undefined
    }
    if (!legible) complaints.push('what it said before holds')
    held = description
    const port = legible ? chosen : choosePort(service, description.port)
    if ('expected' in port) return { instances: [], description }
    const tls = port.kind === 'named' && speaksTls(port.appProtocol)
    const protocol = description.protocol ?? (tls ? 'https' : 'http')
    const { namespace, name, ipFamilies } = service
    const instances = chooseEndpoints({ slices, port, ipFamilies, zone }).flatMap(({ host, target }) => {
      const url = URL.parse(`${protocol}://${host}`)
      if (url === null) return []
      return [
        {
          id: `${namespace}/${target}@${host}`,
          origin: url.origin,
          // A certificate names the Service, never a pod's address.
          ...(protocol === 'https' && { serverName: `${name}.${namespace}.svc` }),
        },
      ]
    })
    if (port.kind === 'named' && isHttp2Only(port.appProtocol)) {
      complaints.push(`its port speaks ${port.appProtocol}, and is spoken to in HTTP/1.1 all the same`)
    }
    if (instances.length === 0) complaints.push(...whyNone(slices, port))
    return { instances, description }
  }
}

/** What is wrong with slices that have endpoints and none that can be used, but for their readiness. */
function whyNone(slices: readonly EndpointSlice[], port: ChosenPort): readonly string[] {
  const filled = slices.filter(({ endpoints }) => endpoints.length > 0)
  const ofAddresses = filled.filter(({ addressType }) => addressType !== 'FQDN')
  if (filled.length === 0 || ofAddresses.some((slice) => portIn(slice, port) !== undefined)) return []
  if (ofAddresses.length === 0) return ['its EndpointSlices have names, expected addresses']
  const wanted = port.kind === 'named' && port.name !== '' ? ` named ${port.name}` : ''
  return [`its EndpointSlices lack its port, expected a TCP port${wanted} in them`]
}
