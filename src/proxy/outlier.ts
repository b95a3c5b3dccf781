import type { Log } from '../observability/log.ts'
import type { Upstream } from './upstreams.ts'

/** A service's instances: all of them, and those that requests may be sent to now. */
export interface UpstreamGroup {
  readonly service: string
  readonly all: readonly Upstream[]
  /** Swapped as a whole when one is ejected or comes back; never empty unless `all` is. */
  usable: readonly Upstream[]
}

export interface OutlierDetection {
  /** Any reply, whatever its status: the instance is there. */
  succeeded(group: UpstreamGroup, upstream: Upstream): void
  /** No reply: refused, reset, timed out. */
  failed(group: UpstreamGroup, upstream: Upstream): void
  /** A group over these upstreams, honouring ejections made under an earlier table. */
  group(service: string, all: readonly Upstream[]): UpstreamGroup
  stop(): void
}

const failuresToEject = 5
const baseEjectionMs = 30_000
const longestEjectionMs = 300_000

/**
 * Passive health, by the rules of Envoy's outlier detection: five failures in a row eject an instance for
 * 30 s × the number of times, at most 300 s. Half of a service may be ejected at the most, and where that
 * would be exceeded everybody is used: a guess must not do more harm than the fault it guards against.
 */
export function createOutlierDetection({ log }: { log: Log }): OutlierDetection {
  const groups = new Set<WeakRef<UpstreamGroup>>()
  const timers = new Set<NodeJS.Timeout>()

  function refresh(): void {
    for (const reference of groups) {
      const group = reference.deref()
      if (group === undefined) groups.delete(reference)
      else group.usable = usableOf(group.all)
    }
  }

  function eject(group: UpstreamGroup, upstream: Upstream): void {
    upstream.ejections += 1
    const ms = Math.min(baseEjectionMs * upstream.ejections, longestEjectionMs)
    upstream.ejectedUntil = performance.now() + ms
    log.warn(
      { service: group.service, instance: upstream.address },
      `${group.service}@${upstream.address} ejected for ${ms / 1000} s after ${failuresToEject} failures in a row`,
    )
    refresh()
    const timer = setTimeout(() => {
      timers.delete(timer)
      refresh()
    }, ms + 1)
    timers.add(timer.unref())
  }

  return {
    succeeded(_group, upstream) {
      if (upstream.consecutiveFailures === 0 && upstream.ejections === 0) return
      upstream.consecutiveFailures = 0
      if (upstream.ejectedUntil <= performance.now()) upstream.ejections = 0
    },
    failed(group, upstream) {
      upstream.consecutiveFailures += 1
      const due =
        upstream.consecutiveFailures >= failuresToEject && upstream.ejectedUntil <= performance.now()
      if (due && group.all.length > 1) eject(group, upstream)
    },
    group(service, all) {
      const group: UpstreamGroup = { service, all, usable: usableOf(all) }
      groups.add(new WeakRef(group))
      return group
    },
    stop() {
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

function usableOf(all: readonly Upstream[]): readonly Upstream[] {
  const now = performance.now()
  const usable = all.filter((upstream) => upstream.ejectedUntil <= now)
  return usable.length * 2 >= all.length ? usable : all
}
