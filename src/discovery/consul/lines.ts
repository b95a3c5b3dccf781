/** The leave to ask once, on a connection that nobody else uses meanwhile. */
export interface Turn {
  /** How long the query may wait for a change, in milliseconds. */
  readonly waitMs: number
  /** Aborts with the signal that the turn was asked for with, or when somebody else needs the line. */
  readonly signal: AbortSignal
}

export interface LinesOptions {
  /** How many may ask at once. */
  readonly count: number
  /** How many take turns now. */
  readonly followers: () => number
  /** How long a query may wait for a change while everybody has a line, and while they go round. */
  readonly waitMs: { readonly long: number; readonly short: number }
  /** How many of the lines first questions may have at once; half of them at most, and always one. */
  readonly firstAtOnce: number
  /** A connection that was broken off is one until the other end has noticed: so long its line is not given away. */
  readonly restMs: number
}

export interface Lines {
  /**
   * Asks when it has a line, and gives what `ask` gives. Asks again, at the end of the queue, where the line was
   * taken away. Rejects when the signal aborts, and with what `ask` rejects with.
   *
   * @param isFirst for a question that is answered at once: it goes before those that wait for a change.
   */
  inTurn<T>(isFirst: boolean, signal: AbortSignal, ask: (turn: Turn) => Promise<T>): Promise<T>
}

interface Holding {
  readonly isFirst: boolean
  readonly waitMs: number
  isCut: boolean
  cut: () => void
}

/**
 * Shares out a number of connections: first come, first served. While there is one for everybody queries wait long.
 * As soon as there is not they wait short, so that the lines go round; and who comes and finds none ends the wait of
 * the one that has waited longest among those that were allowed to wait long, who queues again and does the same to
 * the next.
 */
export function createLines({ count, followers, waitMs, firstAtOnce, restMs }: LinesOptions): Lines {
  const mostFirsts = Math.max(1, Math.min(firstAtOnce, Math.floor(count / 2)))
  const queues = { first: new Set<() => void>(), next: new Set<() => void>() }
  /** In the order in which they began. */
  const waitingLong = new Set<Holding>()
  let free = count
  let firsts = 0

  function serve(): void {
    while (free > 0) {
      const [first] = firsts < mostFirsts ? queues.first : []
      const [next] = queues.next
      const grant = first ?? next
      if (grant === undefined) return
      grant()
    }
  }

  function take(isFirst: boolean, signal: AbortSignal): Promise<Holding> {
    return new Promise((resolve, reject) => {
      const queue = isFirst ? queues.first : queues.next
      const leave = () => {
        queue.delete(grant)
        signal.removeEventListener('abort', abandon)
      }
      const abandon = () => {
        leave()
        reject(signal.reason)
      }
      const grant = () => {
        leave()
        free -= 1
        if (isFirst) firsts += 1
        const isLong = followers() <= count
        const holding = { isFirst, waitMs: isLong ? waitMs.long : waitMs.short, isCut: false, cut() {} }
        if (isLong && !isFirst) waitingLong.add(holding)
        resolve(holding)
      }
      signal.throwIfAborted()
      signal.addEventListener('abort', abandon, { once: true })
      queue.add(grant)
      serve()
      if (free === 0 && queue.has(grant) && followers() > count) cutOldest()
    })
  }

  function cutOldest(): void {
    const [oldest] = waitingLong
    if (oldest === undefined) return
    waitingLong.delete(oldest)
    oldest.isCut = true
    oldest.cut()
  }

  function giveBack({ isFirst }: Holding): void {
    free += 1
    if (isFirst) firsts -= 1
    serve()
  }

  return {
    async inTurn(isFirst, signal, ask) {
      for (;;) {
        const holding = await take(isFirst, signal)
        const ending = new AbortController()
        const end = () => ending.abort(signal.reason)
        holding.cut = () => ending.abort()
        signal.addEventListener('abort', end, { once: true })
        // Between the leave and the asking others had their say.
        if (signal.aborted) end()
        else if (holding.isCut) holding.cut()
        let isBrokenOff = true
        try {
          const answer = await ask({ waitMs: holding.waitMs, signal: ending.signal })
          isBrokenOff = false
          return answer
        } catch (error) {
          if (!holding.isCut || signal.aborted) throw error
        } finally {
          signal.removeEventListener('abort', end)
          waitingLong.delete(holding)
          if (isBrokenOff) setTimeout(giveBack, restMs, holding).unref()
          else giveBack(holding)
        }
      }
    },
  }
}
