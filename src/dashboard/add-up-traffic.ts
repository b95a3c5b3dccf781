import { durationBounds } from '../observability/request-counts.ts'
import { bucketsAt, type SlotRow, slotMs, type Traffic } from './traffic.ts'

/** One point of a service's charts: slot, requests, errors, mean and 95th percentile in ms (null where none ended). */
export type Point = readonly [
  slot: number,
  requests: number,
  errors: number,
  meanMs: number | null,
  p95Ms: number | null,
]

/** How a service is doing now. */
export interface Rate {
  readonly perSecond: number
  /** Replies of 500 and more, of all: 0 to 1. */
  readonly errorShare: number
  /** Undefined where nothing ended. */
  readonly meanMs?: number
  readonly p95Ms?: number
}

/** Over so many slots `Rate` is taken: one would be a flicker. */
export const rateSlots = 3

/** What all processes counted, slot by slot. The last slot is the last that all of them have finished. */
export function addUpTraffic(all: readonly [Traffic, ...Traffic[]]): Traffic {
  if (all.length === 1) return all[0]
  const sums = new Map<string, Map<number, SlotRow>>()
  for (const { services } of all) {
    for (const [service, rows] of Object.entries(services)) {
      const bySlot = sums.get(service) ?? new Map<number, SlotRow>()
      sums.set(service, bySlot)
      for (const row of rows) bySlot.set(row[0]!, addRow(bySlot.get(row[0]!), row))
    }
  }
  return {
    newest: Math.min(...all.map(({ newest }) => newest)),
    services: Object.fromEntries([...sums].map(([service, bySlot]) => [service, [...bySlot.values()]])),
  }
}

/** All services as one. */
export function totalTraffic({ newest, services }: Traffic): SlotRow[] {
  const bySlot = new Map<number, SlotRow>()
  for (const rows of Object.values(services)) {
    for (const row of rows) if (row[0]! <= newest) bySlot.set(row[0]!, addRow(bySlot.get(row[0]!), row))
  }
  return [...bySlot.values()].sort(([a], [b]) => a! - b!)
}

/** The charts' points of a service, in order, up to the slot that all processes have finished. */
export function pointsOf(rows: readonly SlotRow[], newest: number): Point[] {
  return rows
    .filter(([slot]) => slot! <= newest)
    .map((row) => [row[0]!, row[1]!, row[2]!, meanOf(row), quantile(row, 0.95)] as const)
    .sort(([a], [b]) => a - b)
}

/** Of the last `rateSlots` slots. */
export function rateOf(rows: readonly SlotRow[] = [], newest: number): Rate {
  const sum = rows.filter(([slot]) => slot! <= newest && slot! > newest - rateSlots).reduce(addRow, undefined)
  if (sum === undefined) return { perSecond: 0, errorShare: 0 }
  const [meanMs, p95Ms] = [meanOf(sum), quantile(sum, 0.95)]
  return {
    perSecond: round((sum[1]! * 1000) / (rateSlots * slotMs), 10),
    errorShare: round(sum[2]! / sum[1]!, 10_000),
    ...(meanMs !== null && { meanMs }),
    ...(p95Ms !== null && { p95Ms }),
  }
}

function addRow(sum: SlotRow | undefined, row: SlotRow): SlotRow {
  return sum === undefined ? row : row.map((value, index) => (index === 0 ? value : value + sum[index]!))
}

function meanOf(row: SlotRow): number | null {
  const [, , , sumMs = 0, timed = 0] = row
  return timed > 0 ? round(sumMs / timed, 10) : null
}

/**
 * As Prometheus' histogram_quantile: evenly spread within a bucket; of the last bucket, which has no upper bound, its
 * lower one. Of the first bucket its upper one: half of it would be a figure that nobody has measured.
 */
function quantile(row: SlotRow, share: number): number | null {
  const timed = row[4]!
  if (timed <= 0) return null
  let rank = share * timed
  for (const [index, bound] of durationBounds.entries()) {
    const count = row[bucketsAt + index]!
    if (rank <= count && count > 0) {
      const lower = durationBounds[index - 1]
      if (lower === undefined) return bound * 1000
      return round((lower + (bound - lower) * (rank / count)) * 1000, 10)
    }
    rank -= count
  }
  return durationBounds.at(-1)! * 1000
}

const round = (value: number, parts: number) => Math.round(value * parts) / parts
