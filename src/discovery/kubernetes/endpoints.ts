import { isIPv4, isIPv6 } from 'node:net'
import type { Endpoint, EndpointSlice } from './objects.ts'
import { type ChosenPort, portIn } from './ports.ts'

/** An endpoint with the port to connect to. */
export interface Place extends Endpoint {
  /** As in a URL: `10.0.0.1:8080`, `[fd00::1]:8080`. */
  readonly host: string
}

export interface ChooseOptions {
  readonly slices: readonly EndpointSlice[]
  readonly port: ChosenPort
  /** The Service's own, the preferred one first. */
  readonly ipFamilies: readonly string[]
  readonly zone: string | undefined
}

/**
 * The endpoints that requests may go to: of one address family (a pod of a dual-stack Service has an address in
 * each), those that are ready and not terminating; where there are none those that still serve; and of these the
 * zone's own, where hints are complete.
 */
export function chooseEndpoints({ slices, port, ipFamilies, zone }: ChooseOptions): readonly Place[] {
  const families = [...new Set([...ipFamilies, 'IPv4', 'IPv6'])]
  const known = families.map((family) =>
    withoutDuplicates(
      slices
        .filter(({ addressType }) => addressType === family)
        .flatMap((slice) => places(slice, portIn(slice, port))),
    ),
  )
  const ready = known.map((all) => all.filter((place) => place.ready && !place.terminating))
  const serving = known.map((all) => all.filter((place) => place.serving))
  const chosen = [...ready, ...serving].find((all) => all.length > 0) ?? []
  return inZone(chosen, zone)
}

function places({ addressType, endpoints }: EndpointSlice, port: number | undefined): Place[] {
  if (port === undefined) return []
  const isAddress = addressType === 'IPv6' ? isIPv6 : isIPv4
  return endpoints
    .filter(({ address }) => isAddress(address))
    .map((endpoint) => {
      const { address } = endpoint
      return { ...endpoint, host: `${isIPv6(address) ? `[${address}]` : address}:${port}` }
    })
}

/** While slices are rearranged an endpoint may be in two of them: what speaks against it is the later word. */
function withoutDuplicates(all: readonly Place[]): Place[] {
  const byHost = new Map<string, Place>()
  for (const place of all) {
    const other = byHost.get(place.host)
    byHost.set(
      place.host,
      other === undefined
        ? place
        : {
            ...place,
            ready: place.ready && other.ready,
            serving: place.serving && other.serving,
            terminating: place.terminating || other.terminating,
          },
    )
  }
  return [...byHost.values()]
}

/** As kube-proxy does: hints hold only while every endpoint has some and the zone is not left with none. */
function inZone(places: readonly Place[], zone: string | undefined): readonly Place[] {
  if (zone === undefined || places.some(({ zones }) => !zones?.length)) return places
  const near = places.filter(({ zones }) => zones?.includes(zone))
  return near.length > 0 ? near : places
}
