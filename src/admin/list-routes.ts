import type { ReloadStatus } from '../config/reload.ts'
import type { AddressBook, Provenance } from '../discovery/address-book.ts'
import type { Canary, Route } from '../discovery/table.ts'
import type { SourceStatus } from '../discovery/watcher.ts'
import type { ProxyRoute, ProxyRoutes } from '../proxy/routes.ts'
import { type InstanceView, viewInstances } from './instance-view.ts'

/** What the admin endpoints look at. */
export interface Observed {
  readonly addressBook: Pick<AddressBook, 'current' | 'sources' | 'problems' | 'provenance'>
  readonly routes: Pick<ProxyRoutes, 'find'>
  /** Where gateway.yaml is followed. */
  readonly config: (() => ReloadStatus) | undefined
}

/** A route of the table, with the gateway's own defaults filled in, and how its instances are doing. */
export interface RouteView extends Omit<Route, 'timeoutMs' | 'instances' | 'canary' | 'mirror'> {
  /** The source that spoke for the service last; undefined where nobody has. */
  readonly source: string | undefined
  /** Whether the source still names the service and its instances. */
  readonly provenance: Provenance['state'] | undefined
  readonly timeoutMs: number | undefined
  readonly instances: readonly InstanceView[]
  readonly canary?: CanaryView
  readonly mirror?: {
    readonly percent: number
    readonly service: string
    readonly addresses: readonly string[]
  }
}

interface CanaryView extends Pick<Canary, 'percent' | 'header'> {
  readonly service: string
  readonly instances: readonly InstanceView[]
}

export interface SourceView {
  readonly source: string
  readonly state: SourceStatus['state']
  /** ISO 8601; undefined where it has not spoken yet. */
  readonly lastHeardAt: string | undefined
  readonly ageMs: number | undefined
  readonly lastError: string | undefined
}

/** The reply of `GET /admin/routes`. */
export interface RoutesView {
  /** How many workers have told what they see, where there are several. */
  readonly workers?: number
  readonly table: { readonly version: number; readonly routes: number; readonly services: number }
  /** gateway.yaml; undefined where none is followed. */
  readonly config:
    | {
        readonly state: string
        readonly version: number
        readonly loadedAt: string
        readonly lastError?: string
      }
    | undefined
  readonly sources: readonly SourceView[]
  readonly problems: readonly string[]
  /** Longest prefix first, as they are matched. */
  readonly routes: readonly RouteView[]
}

/** The live table: what requests meet at this moment. */
export function listRoutes(observed: Observed): RoutesView {
  const { addressBook, config } = observed
  const { version, routes } = addressBook.current()
  const view = createRouteViews(observed)
  return {
    table: { version, routes: routes.length, services: countServices(routes) },
    config: config && viewConfig(config()),
    sources: viewSources(addressBook),
    problems: addressBook.problems(),
    routes: routes.map(view),
  }
}

/** Those that get requests of their own or another's. */
function countServices(routes: readonly Route[]): number {
  const services = routes.flatMap(({ service, canary }) => [
    service,
    ...(canary ? [canary.route.service] : []),
  ])
  return new Set(services).size
}

/** Views routes of the table at one moment; looks at each service once, however many routes lead to it. */
export function createRouteViews(
  { addressBook, routes }: Pick<Observed, 'addressBook' | 'routes'>,
  now = performance.now(),
): (route: Route) => RouteView {
  const byService = new Map<string, InstanceView[]>()

  function instancesOf(route: Route, compiled: ProxyRoute | undefined): InstanceView[] {
    const known = byService.get(route.service)
    if (known !== undefined) return known
    const view = viewInstances(route, compiled?.group, now)
    byService.set(route.service, view)
    return view
  }

  return ({ canary, mirror, ...route }) => {
    // The very route: of itself a prefix resembles no longer one.
    const compiled = routes.find(route.prefix)
    const { prefix, service } = route
    const provenance = addressBook.provenance(service)
    return {
      ...{ prefix, service },
      source: provenance?.source,
      provenance: provenance?.state,
      ...route,
      timeoutMs: compiled?.timeoutMs ?? route.timeoutMs,
      instances: instancesOf(route, compiled),
      ...(canary && {
        canary: {
          ...{ percent: canary.percent, header: canary.header, service: canary.route.service },
          instances: instancesOf(canary.route, compiled?.canary?.route),
        },
      }),
      ...(mirror && {
        mirror: {
          ...{ percent: mirror.percent, service: mirror.route.service },
          addresses: mirror.route.instances.map(({ origin }) => new URL(origin).host),
        },
      }),
    }
  }
}

/** How the sources are doing, and how old their last word is. */
export function viewSources(addressBook: Pick<AddressBook, 'sources'>, now = Date.now()): SourceView[] {
  return addressBook.sources().map(({ source, state, lastHeardAt, lastError }) => ({
    source,
    state,
    lastHeardAt: lastHeardAt === undefined ? undefined : new Date(lastHeardAt).toISOString(),
    ageMs: lastHeardAt === undefined ? undefined : Math.max(0, now - lastHeardAt),
    lastError,
  }))
}

function viewConfig({ state, version, loadedAt, lastError }: ReloadStatus): RoutesView['config'] {
  return {
    state,
    version,
    loadedAt: new Date(loadedAt).toISOString(),
    ...(lastError !== undefined && { lastError }),
  }
}
