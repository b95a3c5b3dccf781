import type { Log } from '../observability/log.ts'
import { describeFault } from './faults.ts'

/** Says once that the database is away, once more where the reason is another, and once that it is back. */
export interface FaultLog {
  tell(error: unknown): void
  over(): void
}

/** A database that flickers is not told of more often than this. */
const quietMs = 10_000

export function createFaultLog(log: Log, schema: string, now = () => performance.now()): FaultLog {
  let current: string | undefined
  const toldAt = new Map<string, number>()
  return {
    tell(error) {
      const fault = describeFault(error)
      if (fault === current) return
      const last = toldAt.get(fault)
      if (last !== undefined && now() - last < quietMs) return
      current = fault
      if (toldAt.size > 100) toldAt.clear()
      toldAt.set(fault, now())
      log.warn({ schema, fault }, `the database is away and is tried again: ${fault}`)
    },
    over() {
      if (current === undefined) return
      current = undefined
      log.info({ schema }, 'the database is back')
    },
  }
}
