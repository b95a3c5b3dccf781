import type { Lookup, Route, Table } from '../discovery/table.ts'
import type { Log } from '../observability/log.ts'
import type { RateLimits } from '../rate/rate-limits.ts'
import type { RouteRate } from '../rate/route-rate.ts'
import { balancingPolicies } from './balance/index.ts'
import type { Picker } from './balance/policy.ts'
import { chooseRoute, type ProxyCanary } from './canary.ts'
import type { ConcurrencyLimit } from './concurrency.ts'
import { createGuardedLookup } from './look-alikes.ts'
import { createMirror, type Mirror } from './mirror.ts'
import type { OutlierDetection, UpstreamGroup } from './outlier.ts'
import type { RetryBudget } from './retry-budget.ts'
import { createServiceStates, type ServiceCounts } from './service-states.ts'
import type { UpstreamErrors } from './upstream-errors.ts'
import type { Upstreams } from './upstreams.ts'

/** A route of the table with what the proxy needs at hand: nothing is looked up twice for a request. */
export interface ProxyRoute {
  readonly prefix: string
  readonly service: string
  readonly auth: Route['auth']
  /** That the caller's token must carry. */
  readonly scopes: Route['scopes']
  /** Of which provider the house is handed the caller's token. */
  readonly inject: Route['inject']
  /** Undefined where anybody may ask as often as he likes. */
  readonly rate: RouteRate | undefined
  /** Undefined where replies are not stored. */
  readonly cache: Route['cache']
  /** How many characters are cut from the front of the path. */
  readonly cut: number
  readonly timeoutMs: number
  /** The same for a header. */
  readonly timeoutText: string
  readonly retries: number
  /** In per cent. */
  readonly retryBudget: number
  readonly budget: RetryBudget
  /** What went wrong at the service. */
  readonly errors: UpstreamErrors
  /** Undefined where an instance may have any number of requests. */
  readonly limit: ConcurrencyLimit | undefined
  readonly mirror: Mirror | undefined
  readonly canary: ProxyCanary | undefined
  /** Of a canary's route: that of the service which it stands in for, and which answers where it cannot. */
  readonly stable: ProxyRoute | undefined
  readonly group: UpstreamGroup
  readonly pick: Picker
  /** For further attempts: a picker of its own, so that a retry never moves the turns of first attempts. */
  readonly pickAgain: Picker
}

export interface ProxyRoutes {
  /** The longest prefix's route; with a stricter guard for a path that resembles a longer one (look-alikes.ts). */
  find: Lookup<ProxyRoute>
  /** The route that this request takes: the one found, or its canary's. */
  choose(route: ProxyRoute, rawHeaders: readonly string[]): ProxyRoute
  /** The route as it is now; the one given where the table has no such route any more. */
  renew(route: ProxyRoute): ProxyRoute
  /** Takes a new table in; what is in flight keeps the routes it was given. */
  update(table: Table): void
  /** What has been counted of a service; undefined for one that no route leads to. */
  counts(service: string): ServiceCounts | undefined
}

export interface ProxyRoutesOptions {
  readonly upstreams: Upstreams
  readonly outliers: OutlierDetection
  /** Where it is left out no route has a limit. */
  readonly rateLimits?: Pick<RateLimits, 'of' | 'retain'>
  readonly defaultTimeoutMs: number
  readonly random: () => number
  readonly log: Pick<Log, 'debug'>
}

/** The table as the proxy sees it: prefix → route → upstreams, swapped as a whole. */
export function createProxyRoutes(options: ProxyRoutesOptions): ProxyRoutes {
  const { upstreams, outliers, rateLimits, defaultTimeoutMs, random, log } = options
  let lookup: Lookup<ProxyRoute> = () => undefined
  let compiled: CompiledTable = { byRoute: new Map(), groups: new Map() }
  const madeFrom = new WeakMap<UpstreamGroup, Pick<Route, 'instances' | 'health'>>()
  const states = createServiceStates(renew)
  // An instance that comes back has room.
  outliers.subscribe(states.serve)

  /** What is the very same as in the table before is taken over as it is: nearly all of it, as a rule. */
  function compile(table: Table, before: CompiledTable): CompiledTable {
    const groups = new Map<string, UpstreamGroup>()

    function groupOf({ service, instances, health }: Route): UpstreamGroup {
      const group = groups.get(service) ?? sameGroup() ?? newGroup()
      groups.set(service, group)
      return group

      function sameGroup(): UpstreamGroup | undefined {
        const known = before.groups.get(service)
        const origin = known && madeFrom.get(known)
        return origin?.instances === instances && origin.health === health ? known : undefined
      }

      function newGroup(): UpstreamGroup {
        // Whoever has the weight 0 is given nothing, and finishes what it has.
        const weighty = instances.filter((instance) => instance.weight !== 0)
        const all = weighty.map((instance) => upstreams.of(service, instance))
        const made = outliers.group(service, all, health)
        madeFrom.set(made, { instances, health })
        return made
      }
    }

    function sameRoute(route: Route): ProxyRoute | undefined {
      // Of these another service is a part, which may have changed.
      if (route.canary !== undefined || route.mirror !== undefined) return undefined
      const known = before.byRoute.get(route)
      return known?.group === groupOf(route) ? known : undefined
    }

    function compileRoute(route: Route, stable?: ProxyRoute): ProxyRoute {
      const policy = balancingPolicies[route.balance]
      const timeoutMs = route.timeoutMs ?? defaultTimeoutMs
      const compiled = {
        prefix: route.prefix,
        service: route.service,
        auth: route.auth,
        scopes: route.scopes,
        inject: route.inject,
        cache: route.cache,
        rate: stable === undefined ? rateLimits?.of(route) : stable.rate,
        cut: route.strip.length,
        timeoutMs,
        timeoutText: String(timeoutMs),
        retries: route.retries,
        retryBudget: route.retryBudget,
        ...states.of(route),
        group: groupOf(route),
        pick: policy.create(random),
        pickAgain: policy.create(random),
        mirror: route.mirror && mirrorOf(route.service, route.mirror),
        canary: undefined as ProxyCanary | undefined,
        stable,
      }
      if (route.canary !== undefined) {
        compiled.canary = { ...route.canary, route: compileRoute(route.canary.route, compiled) }
      }
      return compiled
    }

    function mirrorOf(service: string, { percent, route }: NonNullable<Route['mirror']>): Mirror {
      return createMirror({
        percent,
        target: compileRoute(route),
        inFlight: states.mirrorsOf(service),
        random,
        log,
      })
    }

    const byRoute = new Map<Route, ProxyRoute>()
    for (const route of table.routes) byRoute.set(route, sameRoute(route) ?? compileRoute(route))
    return { byRoute, groups }
  }

  function renew(route: ProxyRoute): ProxyRoute {
    const now = lookup(route.prefix)
    if (now?.prefix !== route.prefix) return route
    if (now.service === route.service) return now
    return now.canary?.route.service === route.service ? now.canary.route : route
  }

  return {
    find: (path) => lookup(path),
    choose: (route, rawHeaders) => chooseRoute(route, rawHeaders, random),
    renew,
    update(table) {
      compiled = compile(table, compiled)
      const { byRoute, groups } = compiled
      lookup = createGuardedLookup([...byRoute.values()])
      outliers.retain(groups)
      upstreams.retain(groups)
      states.settle(groups)
      rateLimits?.retain(table.routes)
    },
    counts: states.counts,
  }
}

interface CompiledTable {
  readonly byRoute: ReadonlyMap<Route, ProxyRoute>
  /** By service: also of those that only get what is another's. */
  readonly groups: ReadonlyMap<string, UpstreamGroup>
}

/** The target a house sees: the route's prefix cut, the query untouched. `/api/users?a` cut by 4 → `/users?a`. */
export function forwardedTarget(target: string, cut: number): string {
  if (cut === 0) return target
  const rest = target.slice(cut)
  return rest.startsWith('/') ? rest : `/${rest}`
}
