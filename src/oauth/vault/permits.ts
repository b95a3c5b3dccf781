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
