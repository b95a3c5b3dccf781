/** Runs `work` when it is its turn. */
export type Permits = <T>(work: () => Promise<T>) => Promise<T>

/**
 * Lets so many run at once; the rest wait in the order they came.
 * @param tooLate what whoever waits longer than `waitMs` is told
 */
export function createPermits(limit: number, waitMs: number, tooLate: () => Error): Permits {
  let free = limit
  const queue = new Set<() => void>()

  function turn(): Promise<void> {
    if (free > 0) {
      free--
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const begin = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        queue.delete(begin)
        reject(tooLate())
      }, waitMs)
      queue.add(begin)
    })
  }

  function giveBack(): void {
    const [next] = queue
    if (next === undefined) {
      free++
      return
    }
    queue.delete(next)
    next()
  }

  return async (work) => {
    await turn()
    try {
      return await work()
    } finally {
      giveBack()
    }
  }
}

/**
 * Permits of each provider's own, for half of all where there are several: one that does not answer must not keep
 * those who ask another waiting.
 */
export function createShares(
  providers: Iterable<string>,
  limit: number,
  waitMs: number,
  tooLate: () => Error,
): (provider: string) => Permits {
  const names = [...providers]
  const share = names.length > 1 ? Math.ceil(limit / 2) : limit
  const shares = new Map(names.map((name) => [name, createPermits(share, waitMs, tooLate)]))
  // Whom nobody can ask keeps nobody waiting.
  return (provider) => shares.get(provider) ?? ((work) => work())
}
