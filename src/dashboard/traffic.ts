import type { RequestCounts, RouteCount } from '../observability/request-counts.ts'
import { type Clock, systemClock } from '../proxy/outlier.ts'

/** How long a slot is: what a point of a chart stands for. */
export const slotMs = 2000
/** How many are kept: five minutes. */
export const slotCount = 150

/** Requests of one service within one slot: slot number, requests, errors, sum in ms, timed, and then the buckets. */
export type SlotRow = readonly number[]

/** What was counted, by service, of slots in which there was something. Structured-cloneable. */
export interface Traffic {
  /** The last slot that is over: whole slots since the epoch, so that those of all processes are the same. */
  readonly newest: number
  readonly services: Readonly<Record<string, readonly SlotRow[]>>
}

/** What stands before the buckets in a row. */
export const bucketsAt = 5

export interface TrafficHistory {
  start(): void
  stop(): void
  /** The last so many slots. */
  read(last: number): Traffic
}

export interface TrafficHistoryOptions {
  readonly counts: Pick<RequestCounts, 'read'>
  /** Its `now` is in milliseconds since the epoch: the slots of several processes are the same. */
  readonly clock?: Clock
}

/** The last minutes of one service. */
interface Ring {
  /** Rows, each at its slot's number modulo `slotCount`. */
  readonly rows: Float32Array
  readonly width: number
  /** What had been counted when it was last looked at. */
  totals: readonly number[]
}

/**
 * Keeps what each service was asked in the last minutes, so that a page that is opened now shows them. It looks at the
 * counts once a slot; a service that has had no request costs nothing, one that has costs 12 kB, and one that the counts
 * have forgotten is forgotten here.
 */
export function createTrafficHistory({ counts, clock = wallClock }: TrafficHistoryOptions): TrafficHistory {
  const { now, after } = clock
  const rings = new Map<string, Ring>()
  let newest = Math.floor(now() / slotMs) - 1
  let cancel = () => {}

  function sample(): void {
    const ended = Math.max(newest, Math.floor(now() / slotMs) - 1)
    for (const ring of rings.values()) clear(ring, newest, ended)
    newest = ended
    const totals = totalsOf(counts.read())
    for (const [service, total] of totals) {
      const ring = rings.get(service) ?? addRing(service, total.length + 1)
      note(ring, total)
      ring.totals = total
    }
    for (const service of rings.keys()) if (!totals.has(service)) rings.delete(service)
  }

  function addRing(service: string, width: number): Ring {
    const ring = { rows: new Float32Array(slotCount * width), width, totals: [] }
    rings.set(service, ring)
    return ring
  }

  /** A slot that nobody looked at has its requests in the one after it. */
  function note({ rows, width, totals }: Ring, total: readonly number[]): void {
    const at = (newest % slotCount) * width
    rows[at] = 1
    // A count that went down began anew.
    const isAnew = total[0]! < (totals[0] ?? 0)
    for (const [index, value] of total.entries()) {
      rows[at + 1 + index]! += value - (isAnew ? 0 : (totals[index] ?? 0))
    }
  }

  function next(): void {
    // A little late rather than early: the slot must be over.
    cancel = after(slotMs - (now() % slotMs) + 5, () => {
      sample()
      next()
    })
  }

  return {
    start() {
      // What was counted before is nobody's slot.
      for (const [service, total] of totalsOf(counts.read()))
        addRing(service, total.length + 1).totals = total
      next()
    },
    stop: () => cancel(),
    read(last) {
      const first = Math.max(newest - slotCount, newest - last) + 1
      const services: Record<string, SlotRow[]> = {}
      for (const [service, { rows, width }] of rings) {
        const own: SlotRow[] = []
        for (let slot = first; slot <= newest; slot += 1) {
          const at = (slot % slotCount) * width
          if (rows[at] === 1 && rows[at + 1]! > 0) own.push([slot, ...rows.subarray(at + 1, at + width)])
        }
        if (own.length > 0) services[service] = own
      }
      return { newest, services }
    },
  }
}

const wallClock: Clock = { now: Date.now, after: systemClock.after }

/** The slots after `before`, up to `last`, hold nothing yet. */
function clear({ rows, width }: Ring, before: number, last: number): void {
  for (let slot = Math.max(before, last - slotCount) + 1; slot <= last; slot += 1) {
    const at = (slot % slotCount) * width
    rows.fill(0, at, at + width)
  }
}

/** By service, all its routes together: requests, errors, sum in ms, timed, buckets. */
function totalsOf(routes: readonly RouteCount[]): Map<string, number[]> {
  const totals = new Map<string, number[]>()
  for (const { service, requests, durations } of routes) {
    if (service === undefined) continue
    let [all, errors] = [0, 0]
    for (const { status, count } of requests) {
      all += count
      if (status >= 500) errors += count
    }
    const own = [all, errors, durations.sum * 1000, durations.count, ...durations.buckets]
    const known = totals.get(service)
    totals.set(service, known === undefined ? own : known.map((value, index) => value + own[index]!))
  }
  return totals
}
