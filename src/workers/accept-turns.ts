import { setImmediate as nextTurn } from 'node:timers/promises'

/** The turns of the primary, which takes the connections of every worker and hands them out. */
export interface AcceptTurns {
  /** Resolves after one: what it had for this worker until then has come, since a channel keeps the order. */
  next(): Promise<void>
  /** It has taken one that was asked for. */
  taken(): void
  /** It is gone: nobody is kept waiting, now or later. */
  end(): void
}

/** @param ask asks the primary to say when it takes a turn */
export function createAcceptTurns(ask: () => void): AcceptTurns {
  const waiting: (() => void)[] = []
  let ended = false
  return {
    next() {
      if (ended) return nextTurn()
      return new Promise((resolve) => {
        waiting.push(resolve)
        ask()
      })
    },
    taken: () => waiting.shift()?.(),
    end() {
      ended = true
      for (const resolve of waiting.splice(0)) resolve()
    },
  }
}
