import type { RateLimit } from '../discovery/rate-settings.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import { type Counts, createCounts } from './counts.ts'
import { type CountedLimit, createRouteRate, type RouteRate } from './route-rate.ts'
import { createSharing } from './sharing.ts'

interface LimitedRoute {
  readonly prefix: string
  readonly rate?: readonly RateLimit[] | undefined
}

export interface RateLimits {
  /** The limits of a route; undefined where it has none. Its counts are those it had before. */
  of(route: LimitedRoute): RouteRate | undefined
  /** There is a new table: what was counted of other routes is forgotten. */
  retain(routes: readonly LimitedRoute[]): void
  /** Tells the other replicas what they have not heard yet. Never rejects. */
  stop(): Promise<void>
  status(): RateStatus
}

/** For the metrics. */
interface RateStatus {
  /** By the route's prefix. */
  readonly outcomes: ReadonlyMap<string, { readonly allowed: number; readonly limited: number }>
  /** Users and addresses of whom something is counted. */
  readonly keys: number
  /** How long the oldest count has waited to be shared; undefined where there is nobody to share with. */
  readonly lagMs: number | undefined
}

export interface RateLimitsOptions {
  /** Where replicas share what they count: PostgreSQL; undefined for a gateway that is alone. */
  readonly database: Pick<Database, 'run'> | undefined
  /** The PostgreSQL schema of the table `rate_counts`. */
  readonly schema: string
  readonly log: Log
  /** Users and addresses that one limit holds counts of. */
  readonly mostKeys?: number
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

interface Held {
  readonly counts: Counts
  /** As it is now. */
  requests: number
}

/**
 * Rate limits of routes: see docs/rate-limits.md. A request is judged by what this process has in memory, at once;
 * replicas tell one another in the background what they have let through.
 */
export function createRateLimits(options: RateLimitsOptions): RateLimits {
  const { database, schema, log, mostKeys = 50_000, now = () => performance.now() } = options
  const sharing = database && createSharing({ database, schema, log, now, all })
  const held = new Map<string, Held>()
  const outcomes = new Map<string, { allowed: number; limited: number }>()

  function* all() {
    for (const { counts } of held.values()) yield* counts.all()
  }

  function countsOf(key: string, { requests, seconds }: RateLimit): Counts {
    const known = held.get(key)
    if (known !== undefined) {
      known.requests = requests
      return known.counts
    }
    const made: Held = { requests, counts: createCounts(seconds * 1000, mostKeys, () => made.requests) }
    held.set(key, made)
    return made.counts
  }

  return {
    of({ prefix, rate }) {
      if (rate === undefined) return undefined
      const counted = outcomes.get(prefix) ?? { allowed: 0, limited: 0 }
      outcomes.set(prefix, counted)
      const limits: CountedLimit[] = rate.map((limit) => {
        const key = keyOf(prefix, limit)
        return { ...limit, name: nameOf(limit, rate), key, counts: countsOf(key, limit) }
      })
      return createRouteRate({ limits, outcomes: counted, share: sharing?.share, now })
    },
    retain(routes) {
      const limited = routes.filter(({ rate }) => rate !== undefined)
      const prefixes = new Set(limited.map(({ prefix }) => prefix))
      const keys = new Set(limited.flatMap(({ prefix, rate = [] }) => rate.map((one) => keyOf(prefix, one))))
      for (const prefix of outcomes.keys()) if (!prefixes.has(prefix)) outcomes.delete(prefix)
      for (const key of held.keys()) if (!keys.has(key)) held.delete(key)
    },
    stop: async () => sharing?.stop(),
    status: () => ({
      outcomes,
      keys: held.values().reduce((sum, { counts }) => sum + counts.size(), 0),
      lagMs: sharing?.lagMs(),
    }),
  }
}

/** What is counted together, by every replica: how many may pass is not part of it, and can be changed. */
const keyOf = (prefix: string, { per, seconds }: RateLimit) => `${prefix} ${per} ${seconds}`

/** `user`, or with its window where there are several of the kind: `user-60s`. */
function nameOf({ per, seconds }: RateLimit, all: readonly RateLimit[]): string {
  return all.filter((other) => other.per === per).length === 1 ? per : `${per}-${seconds}s`
}
