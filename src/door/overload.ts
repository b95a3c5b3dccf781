import { performance } from 'node:perf_hooks'
import type { Log } from '../observability/log.ts'
import { type Clock, systemClock } from '../proxy/outlier.ts'

/** Whether the event loop keeps up, and what becomes of new requests where it does not. */
export interface Overload {
  /** Begins to measure. */
  start(): void
  stop(): void
  /** Whether a request that has just come is to be turned away; it is counted as such then. */
  turnsAway(target: string): boolean
  /** How many were turned away since the start. */
  shed(): number
  /** By how much the event loop is late, in milliseconds: the median of the last samples. */
  delayMs(): number
}

export interface OverloadOptions {
  /** Above this delay of the event loop requests are turned away, in milliseconds; 0 for never. */
  readonly limitMs: number
  /** Request targets, as they came, that are always let in. */
  readonly isExempt: (target: string) => boolean
  readonly random: () => number
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly clock?: Clock
  /** The share of the time since the last call that the event loop had something to do. */
  readonly utilization?: () => number
}

/** A sample is how late a timer of this length is. */
const sampleMs = 100
/** A turn of the loop that is late by so much is looked at by the requests in it, as often as that. */
const stuckMs = 500
/** Odd, so that the median is one of them: three late ones in a row are a delay that lasts, two are none. */
const samples = 5
/** A loop that has time to wait is late because the machine is: other programs have its cores. */
const leastUtilization = 0.9
/** However late it is, one of ten is let in: work from elsewhere must not make everybody wait for ever. */
const mostShare = 0.9
/** What is left of the share with each sample that asks for less: half of it after seven. */
const ease = 0.9
/** A share that is no more than this is none. */
const leastShare = 0.02
/** So long without turning anybody away, and it is over. */
const calmMs = 5000

/**
 * Turns new requests away while the event loop is late, so that those that were let in end in time. Once an event
 * loop does no more than it can, a request waits for one turn of the loop at each of its steps; the length of a turn
 * is how late a timer is.
 *
 * Only a delay that lasts counts: the median of five samples, so that no pause of whatever length, of the garbage
 * collector, of an import, of a laptop that was asleep, turns anybody away; nor do two. It is the idea of CoDel
 * (RFC 8289 §3.1), which tells the queue that stands from the one that passes. The histogram of
 * `monitorEventLoopDelay` cannot tell them apart: it has no order.
 *
 * A turn may not end for very long: libuv goes back to its sockets up to 48 times before it looks at a timer, as long as
 * 1024 of them have something to read. So requests, too, look at how late the timer is, once it is `stuckMs` late.
 *
 * The share that is turned away grows with the excess, from nothing at the limit to `mostShare` at almost twice of it,
 * and falls slowly, so that what comes and what can be done settle between the two.
 */
export function createOverload(options: OverloadOptions): Overload {
  const { limitMs, isExempt, random, log, clock = systemClock, utilization = createUtilization() } = options
  const late: number[] = new Array(samples).fill(0)
  /** The same, but for turns that were late although the loop had time. */
  const busy: number[] = new Array(samples).fill(0)
  let at = 0
  let dueMs = Number.POSITIVE_INFINITY
  let sampledAt = 0
  /** When a request is to look at a turn that does not end. */
  let stuckAt = Number.POSITIVE_INFINITY
  let delayMs = 0
  let share = 0
  let shed = 0
  let episode: { readonly sinceMs: number; readonly before: number; lastMs: number } | undefined
  let cancel: (() => void) | undefined

  function next(): void {
    dueMs = clock.now() + sampleMs
    stuckAt = dueMs + stuckMs
    cancel = clock.after(sampleMs, () => {
      const now = clock.now()
      if (now - sampledAt >= sampleMs) sample(now)
      next()
    })
  }

  function sample(now: number): void {
    sampledAt = now
    stuckAt = now + stuckMs
    const lateMs = Math.max(0, now - dueMs)
    late[at] = lateMs
    busy[at] = utilization() < leastUtilization ? 0 : lateMs
    at = (at + 1) % samples
    delayMs = median(late)
    if (limitMs > 0) judge(now, median(busy))
  }

  function judge(now: number, busyMs: number): void {
    const wanted = Math.min(mostShare, Math.max(0, (busyMs - limitMs) / limitMs))
    const eased = share * ease
    share = Math.max(wanted, eased < leastShare ? 0 : eased)
    if (share > 0) {
      if (episode === undefined) tellBegin(now)
      else episode.lastMs = now
    } else if (episode !== undefined && now - episode.lastMs >= calmMs) tellEnd()
  }

  function tellBegin(now: number): void {
    episode = { sinceMs: now, before: shed, lastMs: now }
    const late = Math.round(delayMs)
    log.warn(
      { delayMs: late, limitMs },
      `overloaded: the event loop is ${late} ms late (OVERLOAD_DELAY ${limitMs} ms), requests are turned away`,
    )
  }

  function tellEnd(): void {
    const { sinceMs, before, lastMs } = episode!
    episode = undefined
    const seconds = Math.round((lastMs - sinceMs) / 1000)
    const count = shed - before
    log.info({ shed: count, seconds }, `no longer overloaded: ${count} requests turned away in ${seconds} s`)
  }

  return {
    start: next,
    stop: () => cancel?.(),
    turnsAway(target) {
      const now = clock.now()
      if (now >= stuckAt) sample(now)
      if (share === 0 || random() >= share || isExempt(target)) return false
      shed += 1
      return true
    },
    shed: () => shed,
    delayMs: () => delayMs,
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) / 2]!
}

/** Of this thread's event loop. Until its thread has got the processor, a loop counts as waiting. */
function createUtilization(): () => number {
  let last = performance.eventLoopUtilization()
  return () => {
    const now = performance.eventLoopUtilization()
    const since = performance.eventLoopUtilization(now, last)
    last = now
    return since.utilization
  }
}

/**
 * What is always let in: how an orchestrator, an operator and a collector see how the gateway is doing, which is never
 * of more use. By the target as it came: what is spelt in another way is no probe's.
 *
 * @param bases where the admin endpoints are, as `/admin`
 */
export function createExemption(...bases: readonly string[]): (target: string) => boolean {
  const own = bases.map((base) => RegExp.escape(base)).join('|')
  const exempt = new RegExp(`^(?:/livez|/readyz|/metrics|(?:${own})(?:/[\\w-]+(?:\\.\\w+)?)*)(?:\\?|$)`)
  return (target) => exempt.test(target)
}
