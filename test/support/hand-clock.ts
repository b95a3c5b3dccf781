import type { Clock } from '../../src/proxy/outlier.ts'

/** A clock that goes when it is told to; what falls due on the way is done at its own time. */
export interface HandClock extends Clock {
  pass(ms: number): void
  /** How much is to be done later. */
  readonly pending: number
}

export function handClock(): HandClock {
  let at = 1000
  const due = new Set<{ readonly at: number; readonly callback: () => void }>()
  return {
    now: () => at,
    after(ms, callback) {
      const entry = { at: at + ms, callback }
      due.add(entry)
      return () => due.delete(entry)
    },
    pass(ms) {
      const until = at + ms
      for (;;) {
        const next = [...due].filter((entry) => entry.at <= until).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        due.delete(next)
        at = next.at
        next.callback()
      }
      at = until
    },
    get pending() {
      return due.size
    },
  }
}
