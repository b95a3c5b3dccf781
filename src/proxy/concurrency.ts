import type { ConcurrencySettings } from '../discovery/load-settings.ts'
import { GatewayError } from '../errors.ts'
import { noInstance, pickUpstream } from './retry.ts'
import type { ProxyRoute } from './routes.ts'
import type { Upstream } from './upstreams.ts'

/** A request that is to be sent as soon as an instance has room. Exactly one of the two is called, once. */
export interface Waiter {
  readonly tried: readonly Upstream[]
  /** @param route as the table has it now */
  admitted(route: ProxyRoute, upstream: Upstream): void
  turnedAway(error: GatewayError): void
}

/** The limit of one service. It outlives the tables, since what is in flight does. */
export interface ConcurrencyLimit {
  /** Admits, lets wait or turns away; the first and the last at once. */
  enter(waiter: Waiter, route: ProxyRoute): void
  /** An instance with room, which is then taken; undefined where there is none. Passes nobody who waits. */
  take(route: ProxyRoute, tried: readonly Upstream[]): Upstream | undefined
  /** Gives a place back; whoever waits longest gets it. */
  leave(upstream: Upstream): void
  /** Waits no longer: its client has left, or (`isLate`) its deadline has passed. */
  withdraw(waiter: Waiter, isLate?: boolean): void
  /** Undefined: without limit from now on. */
  configure(settings: ConcurrencySettings | undefined): void
  /** There is a new table: instances that have appeared take whom they can, a service that is gone takes nobody. */
  refresh(isKnown: boolean): void
  status(): QueueStatus
}

/** For the metrics. */
export interface QueueStatus {
  /** How many wait now. */
  readonly waiting: number
  /** How many found the queue full, since the limit was set. */
  readonly full: number
  /** How many waited for longer than they may. */
  readonly timedOut: number
}

/**
 * A limit with a queue: first come, first served, with one timer for all who wait. What an instance is doing is
 * counted for this service alone.
 *
 * @param renew the route as the table has it now
 */
export function createConcurrencyLimit(renew: (route: ProxyRoute) => ProxyRoute): ConcurrencyLimit {
  const busy = new Map<Upstream, number>()
  const waiting = new Map<Waiter, { readonly route: ProxyRoute; readonly since: number }>()
  let settings: ConcurrencySettings | undefined
  let timer: NodeJS.Timeout | undefined
  let full = 0
  let timedOut = 0

  const hasRoom = (upstream: Upstream) =>
    settings === undefined || (busy.get(upstream) ?? 0) < settings.perInstance

  function seize(route: ProxyRoute, tried: readonly Upstream[]): Upstream | undefined {
    const upstream = pickUpstream(route, tried, hasRoom)
    if (upstream !== undefined) busy.set(upstream, (busy.get(upstream) ?? 0) + 1)
    return upstream
  }

  function serve(): void {
    for (;;) {
      const [first] = waiting
      if (first === undefined) break
      const [waiter, { route }] = first
      const now = renew(route)
      const upstream = seize(now, waiter.tried)
      if (upstream === undefined && now.group.all.length > 0) return
      waiting.delete(waiter)
      if (upstream === undefined) waiter.turnedAway(noInstance(now))
      else waiter.admitted(now, upstream)
    }
    stopTimer()
  }

  /** The one who came first is due first: for how long they may wait is the same for all, also once it is changed. */
  function expire(): void {
    timer = undefined
    for (const [waiter, { route, since }] of waiting) {
      const left = since + (settings?.queueTimeoutMs ?? 0) - performance.now()
      if (left >= 1) {
        timer = setTimeout(expire, Math.ceil(left))
        return
      }
      waiting.delete(waiter)
      timedOut += 1
      waiter.turnedAway(overloaded(route))
    }
  }

  function stopTimer(): void {
    if (waiting.size > 0) return
    clearTimeout(timer)
    timer = undefined
  }

  return {
    enter(waiter, route) {
      if (route.group.all.length === 0) return waiter.turnedAway(noInstance(route))
      const upstream = waiting.size === 0 ? seize(route, waiter.tried) : undefined
      if (upstream !== undefined) return waiter.admitted(route, upstream)
      const { queue = 0, queueTimeoutMs = 0 } = settings ?? {}
      if (waiting.size >= queue) {
        full += 1
        return waiter.turnedAway(overloaded(route))
      }
      waiting.set(waiter, { route, since: performance.now() })
      timer ??= setTimeout(expire, queueTimeoutMs)
    },
    take: (route, tried) => (waiting.size === 0 ? seize(route, tried) : undefined),
    leave(upstream) {
      const left = (busy.get(upstream) ?? 0) - 1
      if (left > 0) busy.set(upstream, left)
      else busy.delete(upstream)
      serve()
    },
    withdraw(waiter, isLate = false) {
      if (!waiting.delete(waiter)) return
      if (isLate) timedOut += 1
      stopTimer()
    },
    configure(next) {
      settings = next
    },
    refresh(isKnown) {
      if (isKnown) {
        serve()
        clearTimeout(timer)
        expire()
        return
      }
      for (const [waiter, { route }] of waiting) {
        waiting.delete(waiter)
        waiter.turnedAway(noInstance(route))
      }
      stopTimer()
    },
    status: () => ({ waiting: waiting.size, full, timedOut }),
  }
}

/** What is answered where everybody has as much to do as they may have, and nobody else may wait. */
export function overloaded({ service }: Pick<ProxyRoute, 'service'>): GatewayError {
  const detail = `Every instance of ${service} is busy.`
  return new GatewayError('overloaded', { detail, headers: { 'Retry-After': '1' } })
}
