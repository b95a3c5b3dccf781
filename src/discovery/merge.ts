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
 * takes a living service's traffic; where nobody held it the oldest has it, so that gateways and workers that begin
 * later agree; a vanished service yields to anybody.
 */
export function buildRoutes(services: Iterable<KnownService>, options: BuildOptions): MergeResult {
  const { draft, overrides, previous, complete } = options
  // Few parts: V8 puts an object for each route, made anew with every table, among those that live long.
  const claims = new Map<string, Route>()
  const rivals = new Map<string, Route[]>()
  const gone = new Set<string>()
  const ages = new Map<string, number>()
  const problems: string[] = []
  const members = new Map<string, Member>()
  for (const { service, vanished } of services) {
    const drafted = draft(service, overrides.get(service.name))
    problems.push(...drafted.problems)
    if (drafted.member !== undefined) members.set(service.name, drafted.member)
    if (vanished) gone.add(service.name)
    if (service.since !== undefined) ages.set(service.name, service.since)
    for (const route of drafted.routes) {
      const first = claims.get(route.prefix)
      const all = rivals.get(route.prefix)
      if (first === undefined) claims.set(route.prefix, route)
      else if ((all?.at(-1) ?? first).service === service.name) continue
      else if (all === undefined) rivals.set(route.prefix, [first, route])
      else all.push(route)
    }
  }
  if (rivals.size > 0) {
    const age = ({ service }: Route) => ages.get(service) ?? -Infinity
    const holders = new Map(previous.routes.map((route) => [route.prefix, route.service]))
    for (const [prefix, all] of rivals) {
      const living = all.filter((route) => !gone.has(route.service))
      const candidates = living.length > 0 ? living : all
      const oldest = candidates.reduce((one, other) => (age(other) < age(one) ? other : one))
      const kept = candidates.find(({ service }) => service === holders.get(prefix)) ?? oldest
      claims.set(prefix, kept)
      for (const { service } of living) {
        if (service === kept.service) continue
        problems.push(
          `services ${kept.service} and ${service} both claim ${prefix}: ${kept.service} keeps it, ${service} is not reachable there`,
        )
      }
    }
  }
  const routes = [...claims.values()]
  routes.sort((a, b) => b.prefix.length - a.prefix.length || (a.prefix < b.prefix ? -1 : 1))
  return { routes: addSideTraffic(routes, { members, overrides, complete, problems }), problems }
}
