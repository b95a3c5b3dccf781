import type { Lookup, Route, Table } from '../discovery/table.ts'
import { balancingPolicies } from './balance/index.ts'
import type { Picker } from './balance/policy.ts'
import { createGuardedLookup } from './look-alikes.ts'
import type { OutlierDetection, UpstreamGroup } from './outlier.ts'
import type { Upstream, Upstreams } from './upstreams.ts'

/** A route of the table with what the proxy needs at hand: nothing is looked up twice for a request. */
export interface ProxyRoute {
  readonly prefix: string
  readonly service: string
  readonly auth: Route['auth']
  /** That the caller's token must carry. */
  readonly scopes: Route['scopes']
  /** Of which provider the house is handed the caller's token. */
  readonly inject: Route['inject']
  /** How many characters are cut from the front of the path. */
  readonly cut: number
  readonly timeoutMs: number
  readonly retries: number
  readonly group: UpstreamGroup
  readonly pick: Picker
  /** For further attempts: a picker of its own, so that a retry never moves the turns of first attempts. */
  readonly pickAgain: Picker
}

export interface ProxyRoutes {
  /** The longest prefix's route; with a stricter guard for a path that resembles a longer one (look-alikes.ts). */
  find: Lookup<ProxyRoute>
  /** The route as it is now; the one given where the table has no such route any more. */
  renew(route: ProxyRoute): ProxyRoute
  /** Takes a new table in; what is in flight keeps the routes it was given. */
  update(table: Table): void
}

export interface ProxyRoutesOptions {
  readonly upstreams: Upstreams
  readonly outliers: OutlierDetection
  readonly defaultTimeoutMs: number
  readonly random: () => number
}

/** The table as the proxy sees it: prefix → route → upstreams, swapped as a whole. */
export function createProxyRoutes(options: ProxyRoutesOptions): ProxyRoutes {
  const { upstreams, outliers, defaultTimeoutMs, random } = options
  let lookup: Lookup<ProxyRoute> = () => undefined

  function compile(table: Table): ProxyRoute[] {
    const groups = new Map<string, UpstreamGroup>()
    return table.routes.map((route) => {
      let group = groups.get(route.service)
      if (group === undefined) {
        group = outliers.group(route.service, route.instances.map(upstreams.of))
        groups.set(route.service, group)
      }
      const policy = balancingPolicies[route.balance]
      return {
        prefix: route.prefix,
        service: route.service,
        auth: route.auth,
        scopes: route.scopes,
        inject: route.inject,
        cut: route.strip.length,
        timeoutMs: route.timeoutMs ?? defaultTimeoutMs,
        retries: route.retries,
        group,
        pick: policy.create(random),
        pickAgain: policy.create(random),
      }
    })
  }

  return {
    find: (path) => lookup(path),
    renew(route) {
      const now = lookup(route.prefix)
      return now !== undefined && now.prefix === route.prefix && now.service === route.service ? now : route
    },
    update(table) {
      const routes = compile(table)
      lookup = createGuardedLookup(routes)
      upstreams.retain(new Set<Upstream>(routes.flatMap((route) => route.group.all)))
    },
  }
}

/** The target a house sees: the route's prefix cut, the query untouched. `/api/users?a` cut by 4 → `/users?a`. */
export function forwardedTarget(target: string, cut: number): string {
  if (cut === 0) return target
  const rest = target.slice(cut)
  return rest.startsWith('/') ? rest : `/${rest}`
}
