import type { HealthSettings } from '../discovery/health-settings.ts'
import type { Upstream } from './upstreams.ts'

/** Whom requests may be sent to, and how long that holds. */
export interface Usable {
  readonly upstreams: readonly Upstream[]
  /** Too few were left, so that all take part. */
  readonly panic: boolean
  /** Milliseconds, monotonic; Infinity where time alone changes nothing. */
  readonly holdsUntil: number
}

/** What an instance is given at the beginning of its slow start, of its share (Envoy's min_weight_percent). */
const leastWarmth = 0.1
/** Into how many steps a slow start is divided. */
const slowStartSteps = 20
const shortestStepMs = 20

/** How many of a service's instances may be ejected at once: the share, but one of two or more, and never all. */
export function mostEjected({ ejectAfter, ejectPercent }: HealthSettings, count: number): number {
  if (count < 2 || ejectAfter === 0 || ejectPercent === 0) return 0
  return Math.min(count - 1, Math.max(1, Math.floor((count * ejectPercent) / 100)))
}

/** The upstreams that are not ejected, or all; sets the weight of each to what it is due now. */
export function usableOf(all: readonly Upstream[], settings: HealthSettings, now: number): Usable {
  const ejected = ejectedOf(all, settings, now)
  const left = all.length - ejected.length
  const panic = left * 100 < all.length * settings.panicPercent
  const upstreams = panic || ejected.length === 0 ? all : all.filter((one) => !ejected.includes(one))
  const returnsAt = ejected.reduce((soonest, one) => Math.min(soonest, one.ejectedUntil), Infinity)
  return {
    upstreams,
    panic,
    holdsUntil: Math.min(returnsAt, weigh(upstreams, settings.slowStartMs, now)),
  }
}

/** Where instances have left the service, more may be ejected than its share allows: the first due come back. */
function ejectedOf(all: readonly Upstream[], settings: HealthSettings, now: number): readonly Upstream[] {
  const ejected = all.filter((upstream) => upstream.ejectedUntil > now)
  if (ejected.length === 0) return ejected
  return ejected.sort((a, b) => b.ejectedUntil - a.ejectedUntil).slice(0, mostEjected(settings, all.length))
}

/** @returns when the weights have to be looked at again. */
function weigh(upstreams: readonly Upstream[], slowStartMs: number, now: number): number {
  let most = 0
  let warming = false
  for (const upstream of upstreams) {
    const forMs = now - upstream.warmingSince
    const isWarming = forMs >= 0 && forMs < slowStartMs
    warming ||= isWarming
    upstream.weight = upstream.assignedWeight * (isWarming ? Math.max(leastWarmth, forMs / slowStartMs) : 1)
    most = Math.max(most, upstream.weight)
  }
  for (const upstream of upstreams) upstream.weight = most > 0 ? upstream.weight / most : 1
  return warming ? now + Math.max(slowStartMs / slowStartSteps, shortestStepMs) : Infinity
}
