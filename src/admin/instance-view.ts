import type { Instance } from '../discovery/source.ts'
import type { Route } from '../discovery/table.ts'
import type { UpstreamGroup } from '../proxy/outlier.ts'
import type { Upstream } from '../proxy/upstreams.ts'

/** One instance of a service, and how it has been doing. */
export interface InstanceView {
  /** The source's own id of it. */
  readonly id: string
  /** `127.0.0.1:8001` */
  readonly address: string
  readonly origin: string
  /** TLS server name and Host, where they are not the origin's. */
  readonly serverName?: string
  /** Whether requests are sent to it now. */
  readonly usable: boolean
  /** Why not; or why all the same, where it is ejected. */
  readonly reason?: string
  /** Milliseconds until it may come back; undefined where it is not ejected. */
  readonly ejectedForMs?: number
  /** Milliseconds until it has come to its share; undefined where it has, or has not begun to. */
  readonly slowStartForMs?: number
  /** By its source's word. */
  readonly assignedWeight: number
  /** What it is given now beside the one that gets most: 1 for as much. */
  readonly weight: number
  /** How often it has been ejected in a row. */
  readonly ejections: number
  readonly consecutiveFailures: number
  readonly inFlight: number
}

/**
 * A service's instances as the table names them and the proxy has them.
 * @param now milliseconds of the monotonic clock
 */
export function viewInstances(
  { instances, concurrency, health }: Pick<Route, 'instances' | 'concurrency' | 'health'>,
  group: UpstreamGroup | undefined,
  now: number,
): InstanceView[] {
  const upstreams = new Map(group?.all.map((upstream) => [keyOf(upstream.instance), upstream]))
  const usable = new Set(group?.usable)
  return instances.map((instance) => {
    const upstream = upstreams.get(keyOf(instance))
    const { id, origin, serverName } = instance
    return {
      id,
      address: upstream?.address ?? new URL(origin).host,
      origin,
      ...(serverName !== undefined && { serverName }),
      ...viewUpstream(upstream, instance, {
        isUsable: upstream !== undefined && usable.has(upstream),
        perInstance: concurrency?.perInstance ?? Infinity,
        slowStartMs: health.slowStartMs,
        now,
      }),
    }
  })
}

type Health = Omit<InstanceView, 'id' | 'address' | 'origin' | 'serverName'>

interface Circumstances {
  readonly isUsable: boolean
  readonly perInstance: number
  readonly slowStartMs: number
  readonly now: number
}

function viewUpstream(
  upstream: Upstream | undefined,
  { weight: assignedWeight = 1 }: Instance,
  { isUsable, perInstance, slowStartMs, now }: Circumstances,
): Health {
  if (upstream === undefined) {
    const reason = assignedWeight === 0 ? 'its weight is 0' : 'the proxy does not know it yet'
    const nothing = { weight: 0, ejections: 0, consecutiveFailures: 0, inFlight: 0 }
    return { usable: false, reason, assignedWeight, ...nothing }
  }
  const { ejections, consecutiveFailures, inFlight } = upstream
  const ejectedForMs = Math.max(0, Math.ceil(upstream.ejectedUntil - now))
  const slowStartForMs = slowStartLeft(upstream, slowStartMs, now)
  const isFull = inFlight >= perInstance
  const reason =
    reasonOf(upstream, isUsable, ejectedForMs) ??
    (isFull ? `has as many requests as it may have at a time, ${perInstance}` : undefined) ??
    slowStartOf(slowStartForMs)
  return {
    usable: isUsable,
    ...(reason !== undefined && { reason }),
    ...(ejectedForMs > 0 && { ejectedForMs }),
    ...(slowStartForMs > 0 && { slowStartForMs }),
    assignedWeight,
    weight: Math.round(upstream.weight * 100) / 100,
    ejections,
    consecutiveFailures,
    inFlight,
  }
}

function reasonOf(upstream: Upstream, isUsable: boolean, ejectedForMs: number): string | undefined {
  if (ejectedForMs === 0) return isUsable ? undefined : 'held back by the proxy'
  const { ejections, consecutiveFailures } = upstream
  const ejected = `ejected for another ${Math.ceil(ejectedForMs / 1000)} s after ${consecutiveFailures} failures in a row`
  const times = ejections > 1 ? `${ejected}, ${ejections} times by now` : ejected
  return isUsable ? `${times}; used all the same, as too few others are left` : times
}

/** 0 where it is over, or has not begun. */
function slowStartLeft({ warmingSince }: Upstream, slowStartMs: number, now: number): number {
  const leftMs = Math.ceil(warmingSince + slowStartMs - now)
  return leftMs > slowStartMs ? 0 : Math.max(0, leftMs)
}

function slowStartOf(leftMs: number): string | undefined {
  return leftMs === 0 ? undefined : `slow start: comes to its share within ${Math.ceil(leftMs / 1000)} s`
}

/** The proxy knows instances by where they are; the id may change with the source. */
const keyOf = ({ origin, serverName }: Instance) =>
  serverName === undefined ? origin : `${origin} ${serverName}`
