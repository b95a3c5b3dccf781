import type { HealthSettings } from '../discovery/health-settings.ts'
import type { Log } from '../observability/log.ts'
import type { Upstream } from './upstreams.ts'
import { mostEjected, type Usable, usableOf } from './usable.ts'

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
  /** The service's group from now on, over these upstreams; ejections made under an earlier table hold. */
  group(service: string, all: readonly Upstream[], settings: HealthSettings): UpstreamGroup
  /** Told of each service whose `usable` has become another one between two tables. */
  subscribe(listener: (service: string) => void): void
  /** Lets go of all services but these. */
  retain(services: { has(service: string): boolean }): void
  /** Of every service, for the metrics. */
  status(): readonly GroupStatus[]
  stop(): void
}

export interface GroupStatus {
  readonly group: UpstreamGroup
  /** How often one of its instances has been ejected since the service came. */
  readonly ejections: number
  readonly panic: boolean
}

/** Time as it passes, or as a test has it pass. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number
  /** Calls back once, in so many milliseconds, unless the function it gives is called before. */
  after(ms: number, callback: () => void): () => void
}

/** A service's group and what goes with it. */
interface Kept {
  readonly group: UpstreamGroup
  readonly settings: HealthSettings
  panic: boolean
  ejections: number
  forget: () => void
}

const longestEjectionMs = 300_000

/**
 * Passive health, by the rules of Envoy's outlier detection: failures in a row eject an instance for a time × how
 * often it has been ejected, at most 300 s. Only a share of a service is ever ejected at once, and where too few
 * would be left everybody is used: a guess must not do more harm than the fault it guards against. Nothing but
 * these events does any work: a request reads `usable` and each upstream's `weight` as they are.
 */
export function createOutlierDetection(options: { log: Log; clock?: Clock }): OutlierDetection {
  const { log, clock = systemClock } = options
  const services = new Map<string, Kept>()
  const listeners: ((service: string) => void)[] = []

  function changed(kept: Kept): void {
    refresh(kept)
    for (const tell of listeners) tell(kept.group.service)
  }

  function refresh(kept: Kept): void {
    const { group, settings } = kept
    const now = clock.now()
    const usable = usableOf(group.all, settings, now)
    group.usable = usable.upstreams
    tellPanic(kept, usable)
    kept.forget()
    if (usable.holdsUntil === Infinity) kept.forget = nothing
    // Timers may be a fraction of a millisecond early.
    else kept.forget = clock.after(usable.holdsUntil - now + 1, () => changed(kept))
  }

  function tellPanic(kept: Kept, { panic }: Usable): void {
    const { service, all } = kept.group
    if (panic && !kept.panic) {
      log.warn({ service }, `${service}: too few of its ${all.length} instances are left: all take part`)
    }
    kept.panic = panic
  }

  function eject(kept: Kept, upstream: Upstream, now: number): void {
    const { group } = kept
    const { ejectTimeMs, ejectAfter } = kept.settings
    kept.ejections += 1
    // One is forgiven for each time that it has been in since.
    const forgiven = Math.floor((now - upstream.ejectedUntil) / ejectTimeMs)
    upstream.ejections = Math.max(0, upstream.ejections - forgiven) + 1
    const ms = Math.min(ejectTimeMs * upstream.ejections, Math.max(longestEjectionMs, ejectTimeMs))
    upstream.ejectedUntil = now + ms
    upstream.warmingSince = upstream.ejectedUntil
    log.warn(
      { service: group.service, instance: upstream.address },
      `${group.service}@${upstream.address} ejected for ${ms / 1000} s after ${ejectAfter} failures in a row`,
    )
  }

  return {
    succeeded(_group, upstream) {
      if (upstream.consecutiveFailures !== 0) upstream.consecutiveFailures = 0
    },
    failed({ service }, upstream) {
      upstream.consecutiveFailures += 1
      const kept = services.get(service)
      // Without a reply since its return, the first failure ejects it again.
      if (kept === undefined || upstream.consecutiveFailures < kept.settings.ejectAfter) return
      const now = clock.now()
      const { all } = kept.group
      if (upstream.ejectedUntil > now || !all.includes(upstream)) return
      const ejected = all.filter((one) => one.ejectedUntil > now).length
      if (ejected >= mostEjected(kept.settings, all.length)) return
      eject(kept, upstream, now)
      changed(kept)
    },
    group(service, all, settings) {
      const previous = services.get(service)
      previous?.forget()
      // The first instances of a service take everything at once: there is nobody else who could.
      const spares = previous !== undefined && previous.group.all.length > 0
      for (const upstream of all) {
        if (upstream.isNew && spares) upstream.warmingSince = clock.now()
        upstream.isNew = false
      }
      const group: UpstreamGroup = { service, all, usable: all }
      const { panic = false, ejections = 0 } = previous ?? {}
      const kept: Kept = { group, settings, panic, ejections, forget: nothing }
      services.set(service, kept)
      refresh(kept)
      return group
    },
    subscribe: (listener) => void listeners.push(listener),
    retain(wanted) {
      for (const [service, { forget }] of services) {
        if (wanted.has(service)) continue
        forget()
        services.delete(service)
      }
    },
    status: () => [...services.values()],
    stop() {
      for (const { forget } of services.values()) forget()
      services.clear()
    },
  }
}

const nothing = () => {}

/** Time as it passes; what it is asked to do later keeps no process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref()
    return () => clearTimeout(timer)
  },
}
