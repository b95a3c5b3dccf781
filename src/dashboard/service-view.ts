import type { InstanceView } from '../admin/instance-view.ts'
import type { RouteView } from '../admin/list-routes.ts'
import type { AddressBook } from '../discovery/address-book.ts'
import type { Collected } from '../openapi/collect.ts'
import type { Rate } from './add-up-traffic.ts'

/** A service as a dashboard shows it: what leads to it, and its instances. */
export interface ServiceView extends Rate {
  readonly source: string | undefined
  readonly provenance: RouteView['provenance']
  readonly routes: readonly LeadingRoute[]
  readonly instances: readonly InstanceState[]
  readonly document: Pick<Collected, 'status' | 'reason' | 'fetchedAt'> | undefined
}

/** A route that leads to the service. */
interface LeadingRoute {
  readonly prefix: string
  readonly auth: RouteView['auth']
  /** Of which service it is the canary or the mirror there, and of how many of its requests. */
  readonly share?: { readonly kind: 'canary' | 'mirror'; readonly service: string; readonly percent: number }
}

interface InstanceState
  extends Pick<
    InstanceView,
    'id' | 'address' | 'reason' | 'inFlight' | 'weight' | 'ejections' | 'consecutiveFailures'
  > {
  /**
   * `usable`; `warming`: in its slow start; `held`: used, though no source names it any more; `ejected`; `strained`:
   * ejected, and used all the same, as too few are left; `idle`: gets nothing for another reason.
   */
  readonly state: 'usable' | 'warming' | 'held' | 'ejected' | 'strained' | 'idle'
  /** Milliseconds since the epoch, to a second; of one that is ejected. */
  readonly ejectedUntil?: number
}

export interface ServicesOptions {
  readonly routes: readonly RouteView[]
  readonly documents: ReadonlyMap<string, Pick<Collected, 'status' | 'reason' | 'fetchedAt'>>
  readonly provenanceOf: AddressBook['provenance']
  readonly rateOf: (service: string) => Rate
  /** Milliseconds since the epoch. */
  readonly now?: number
}

/** Turns routes that have instances into services that have routes, in the order of their names. */
export function viewServices(options: ServicesOptions): ReadonlyMap<string, ServiceView> {
  const { routes, now = Date.now() } = options
  const known = new Map<string, Known>()

  function lead(service: string, instances: readonly InstanceView[], route: LeadingRoute): void {
    const one = known.get(service) ?? { instances, routes: [] }
    known.set(service, one)
    // A mirror's are not all that is known of them.
    if (route.share?.kind !== 'mirror') one.instances = instances
    one.routes.push(route)
  }

  for (const { prefix, auth, service, instances, canary, mirror } of routes) {
    lead(service, instances, { prefix, auth })
    if (canary !== undefined) {
      const share = { kind: 'canary', service, percent: canary.percent } as const
      lead(canary.service, canary.instances, { prefix, auth, share })
    }
    if (mirror !== undefined) {
      const share = { kind: 'mirror', service, percent: mirror.percent } as const
      lead(mirror.service, mirror.addresses.map(unknownInstance), { prefix, auth, share })
    }
  }

  return new Map(
    [...known]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, service]) => [name, viewService(name, service, options, now)]),
  )
}

interface Known {
  instances: readonly InstanceView[]
  readonly routes: LeadingRoute[]
}

function viewService(
  name: string,
  { routes, instances }: Known,
  { documents, provenanceOf, rateOf }: ServicesOptions,
  now: number,
): ServiceView {
  const { source, state } = provenanceOf(name) ?? { source: undefined, state: undefined }
  const isHeld = state === 'held' || state === 'vanished'
  const document = documents.get(name)
  return {
    ...{ source, provenance: state, routes },
    instances: instances.map((instance) => viewInstance(instance, isHeld, now)),
    // Named one by one: a document is large.
    document: document && {
      status: document.status,
      reason: document.reason,
      fetchedAt: document.fetchedAt,
    },
    ...rateOf(name),
  }
}

/** Of one that gets copies alone the table has no more than where it is. */
function unknownInstance(address: string): InstanceView {
  const nothing = { ejections: 0, consecutiveFailures: 0, inFlight: 0 }
  return { id: address, address, origin: address, usable: true, assignedWeight: 1, weight: 1, ...nothing }
}

function viewInstance(instance: InstanceView, isHeld: boolean, now: number): InstanceState {
  const { id, address, reason, ejectedForMs, inFlight, weight, ejections, consecutiveFailures } = instance
  return {
    ...{ id, address, inFlight, weight, ejections, consecutiveFailures },
    state: stateOf(instance, isHeld),
    ...(reason !== undefined && { reason }),
    ...(ejectedForMs !== undefined && { ejectedUntil: Math.round((now + ejectedForMs) / 1000) * 1000 }),
  }
}

function stateOf(
  { usable, ejectedForMs, slowStartForMs }: InstanceView,
  isHeld: boolean,
): InstanceState['state'] {
  if (ejectedForMs !== undefined) return usable ? 'strained' : 'ejected'
  if (!usable) return 'idle'
  if (isHeld) return 'held'
  return slowStartForMs === undefined ? 'usable' : 'warming'
}
