import type { Recorder } from '../proxy/recorder.ts'
import type { ProxyRoute } from '../proxy/routes.ts'
import type { Fills } from './fills.ts'
import type { NoCacheRequest } from './request.ts'
import type { Store } from './store.ts'

type KeyedRoute = Pick<ProxyRoute, 'service' | 'cut'>
type ChangedRoute = Pick<ProxyRoute, 'service' | 'cut' | 'prefix' | 'canary' | 'stable'>

/**
 * The key of a target URI (RFC 9111 §2), by what answers there: a service that takes over a prefix, or a canary, finds
 * nothing of another's.
 *
 * @param origin scheme and host that the client asked for
 * @param target path and query as the client sent them
 */
export const keyOf = ({ service, cut }: KeyedRoute, origin: string, target: string) =>
  `${service}\n${cut}\n${origin}${target}`

export interface InvalidationOptions {
  readonly store: Pick<Store, 'forget'>
  readonly fills: Pick<Fills, 'spoil'>
}

/** What a request changes, or passes the cache by, with the headers that tell of it. */
export interface Invalidation {
  recorder(
    reason: NoCacheRequest,
    request: {
      readonly route: ChangedRoute
      readonly origin: string
      readonly target: string
      /** Whether any instance has been sent it. */
      readonly wasSent: () => boolean
    },
  ): Recorder
}

/** RFC 9111 §4.4: a change at a URI makes what is stored for it invalid, whoever asked for it. */
export function createInvalidation({ store, fills }: InvalidationOptions): Invalidation {
  /** At the canary and at whom it stands in for alike: they are one resource, whichever of them has changed it. */
  function invalidate(route: ChangedRoute, origin: string, target: string): void {
    for (const one of [route, route.stable, route.canary?.route]) {
      if (one === undefined) continue
      const key = keyOf(one, origin, target)
      store.forget(key)
      fills.spoil(key)
    }
  }

  return {
    recorder(reason, { route, origin, target, wasSent }) {
      const text = `munjigi; fwd=${reason}`
      // What is being answered while this request is on its way may be old by the time it has been.
      let isSettled = reason === 'bypass'

      function settle(status: number, places: readonly (string | string[] | undefined)[]): void {
        if (isSettled) return
        isSettled = true
        // Refused, and nothing was changed: or anybody could empty the cache.
        if (status >= 400 && status < 500) return
        invalidate(route, origin, target)
        for (const place of places) {
          if (typeof place !== 'string') continue
          for (const other of targetsOf(place, { route, origin, target })) invalidate(route, origin, other)
        }
      }

      return {
        begins(status, headers, head) {
          settle(status, [headers.location, headers['content-location']])
          head.push('cache-status', text)
          return true
        },
        data: () => true,
        holds() {},
        ends() {},
        replaces: () => false,
        // No reply: what the house has done nobody knows. Had it been asked nothing, anybody could empty the cache while it
        // is away, and stale replies are wanted most.
        over: (failure) => settle(failure?.code === 'payload_too_large' || !wasSent() ? 413 : 500, []),
      }
    },
  }
}

/**
 * Targets that Location or Content-Location may mean, on the same origin (RFC 9111 §4.4): houses write them as the client
 * sees them, or as they see them themselves, with the prefix cut.
 */
function targetsOf(
  place: string,
  { route, origin, target }: Pick<Parameters<Invalidation['recorder']>[1], 'route' | 'origin' | 'target'>,
): readonly string[] {
  const base = `${origin}${target}`
  if (!URL.canParse(place, base)) return []
  const { origin: of, pathname, search } = new URL(place, base)
  if (of !== new URL(base).origin) return []
  const cut = route.prefix.slice(0, route.cut)
  return cut === '' ? [pathname + search] : [pathname + search, cut + pathname + search]
}
