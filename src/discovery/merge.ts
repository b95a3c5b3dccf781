import type { Description } from './description.ts'
import type { DraftService } from './draft.ts'
import { addSideTraffic, type Member } from './side-traffic.ts'
import type { Service } from './source.ts'
import type { Route, Table } from './table.ts'

/** A service as the sources know it, and whether any of them still names it. */
export interface KnownService {
  readonly service: Service
  readonly vanished: boolean
}

export interface MergeResult {
  readonly routes: readonly Route[]
  /** What could not be agreed upon, one sentence each. */
  readonly problems: readonly string[]
}

/**
 * Services of several sources in order of precedence: the first source that has instances of a name speaks
 * for it; instances of different sources are never mixed, since one house may be known under two addresses.
 */
export function mergeSnapshots(snapshots: readonly (readonly Service[])[]): Map<string, Service> {
  const merged = new Map<string, Service>()
  for (const snapshot of snapshots) {
    for (const service of snapshot) {
      const known = merged.get(service.name)
      if (known === undefined || (known.instances.length === 0 && service.instances.length > 0)) {
        merged.set(service.name, service)
      }
    }
  }
  return merged
}

export interface BuildOptions {
  readonly draft: DraftService
  /** gateway.yaml: the operator's word wins over what a service says of itself. */
  readonly overrides: ReadonlyMap<string, Description>
  readonly previous: Table
  /** Every source has spoken: a service that is not among those given is not there. */
  readonly complete: boolean
}

/**
 * Services → routes. Two services claiming one prefix: who held it in `previous` keeps it, so that a newcomer never
 * takes a living service's traffic; a vanished service yields to anybody.
 */
export function buildRoutes(services: Iterable<KnownService>, options: BuildOptions): MergeResult {
  const { draft, overrides, previous, complete } = options
  const holders = new Map(previous.routes.map((route) => [route.prefix, route.service]))
  const claims = new Map<string, Claim[]>()
  const problems: string[] = []
  const members = new Map<string, Member>()
  for (const { service, vanished } of services) {
    const drafted = draft(service, overrides.get(service.name))
    problems.push(...drafted.problems)
    if (drafted.member !== undefined) members.set(service.name, drafted.member)
    for (const route of drafted.routes) {
      const rivals = claims.get(route.prefix)
      if (rivals === undefined) claims.set(route.prefix, [{ route, vanished }])
      else if (rivals.at(-1)!.route.service !== service.name) rivals.push({ route, vanished })
    }
  }
  const routes = [...claims].map(([prefix, rivals]) => settle(prefix, rivals, holders.get(prefix), problems))
  routes.sort((a, b) => b.prefix.length - a.prefix.length || (a.prefix < b.prefix ? -1 : 1))
  return { routes: addSideTraffic(routes, { members, overrides, complete, problems }), problems }
}

/** One service's wish for a prefix. */
interface Claim {
  readonly route: Route
  readonly vanished: boolean
}

function settle(
  prefix: string,
  claims: readonly Claim[],
  holder: string | undefined,
  problems: string[],
): Route {
  const living = claims.filter((claim) => !claim.vanished)
  const candidates = living.length > 0 ? living : claims
  const { route } = candidates.find((claim) => claim.route.service === holder) ?? candidates[0]!
  for (const { service } of living.map((claim) => claim.route)) {
    if (service === route.service) continue
    problems.push(
      `services ${route.service} and ${service} both claim ${prefix}: ${route.service} keeps it, ${service} is not reachable there`,
    )
  }
  return route
}
