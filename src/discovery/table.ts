import type { BalancingPolicyName } from '../proxy/balance/index.ts'
import type { HealthSettings } from './health-settings.ts'
import type { LoadSettings } from './load-settings.ts'
import type { RateLimit } from './rate-settings.ts'
import type { Instance } from './source.ts'

/** One path prefix and the service it leads to, with every default filled in. */
export interface Route extends LoadSettings {
  readonly prefix: string
  readonly service: string
  /** Cut from the front of the path before forwarding; empty for nothing. */
  readonly strip: string
  readonly auth: 'none' | 'optional' | 'required'
  readonly scopes: readonly string[]
  /** Deadline of the reply's head; undefined for the gateway's default. */
  readonly timeoutMs: number | undefined
  readonly retries: number
  readonly openapi: string | false
  readonly inject: string | undefined
  /** Undefined where replies are not stored: src/cache. */
  readonly cache?: CacheSettings | undefined
  /** All of which have to allow a request; those of a canary are the route's whose place it takes. */
  readonly rate?: readonly RateLimit[] | undefined
  readonly balance: BalancingPolicyName
  /** The same object for every route of a service. */
  readonly health: HealthSettings
  /** The same array for every route of a service; empty when none is known to be up. */
  readonly instances: readonly Instance[]
  /** Another service that answers some of the requests. */
  readonly canary?: Canary | undefined
  /** Another service that is sent copies of some. */
  readonly mirror?: Mirror | undefined
}

/** The requests that have the header, and so many per cent of the others. */
export interface Canary {
  readonly percent: number
  /** Its name in lower case. */
  readonly header: { readonly name: string; readonly value: string } | undefined
  /** The same place at the other service. */
  readonly route: Route
}

/** The cache of a route's replies. */
interface CacheSettings {
  /** Freshness lifetime of replies that say nothing of it themselves; 0 for none. */
  readonly defaultSeconds: number
}

interface Mirror {
  readonly percent: number
  readonly route: Route
}

/** The address book at one moment. It never changes: a new one takes its place. */
export interface Table {
  readonly version: number
  /** Longest prefix first. */
  readonly routes: readonly Route[]
}

export const emptyTable: Table = Object.freeze({ version: 0, routes: Object.freeze([]) })

/** Looks a path up. Built once for each table, so that a request pays one map look-up for each segment. */
export type Lookup<T> = (path: string) => T | undefined

/**
 * Longest-prefix match by whole segments: `/api/users` leads to `/api/users` and `/api/users/1`, never to
 * `/api/users2`. The path has been through door/path.ts, so what is matched is what is forwarded.
 */
export function createLookup<T extends { readonly prefix: string }>(routes: readonly T[]): Lookup<T> {
  const byPrefix = new Map<string, T>()
  let longest = 0
  for (const route of routes) {
    byPrefix.set(route.prefix, route)
    longest = Math.max(longest, route.prefix.length)
  }
  return (path) => {
    // A prefix longer than every known one cannot match: start where the longest could end.
    let end = path.length
    while (end > longest) end = path.lastIndexOf('/', end - 1)
    while (end > 0) {
      const route = byPrefix.get(end === path.length ? path : path.slice(0, end))
      if (route !== undefined) return route
      end = path.lastIndexOf('/', end - 1)
    }
    return byPrefix.get('/')
  }
}
