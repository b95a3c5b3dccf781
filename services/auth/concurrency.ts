/** Runs work, so much of it at once; `undefined` where too much waits already. */
export type Gate = <T>(work: () => Promise<T>) => Promise<T> | undefined

/**
 * @param width how many run at once
 * @param queue how many may wait
 */
export function createGate(width: number, queue: number): Gate {
  const waiting: (() => void)[] = []
  let running = 0

  function leave(): void {
    const next = waiting.shift()
    // Whoever waited longest takes this place over.
    if (next === undefined) running -= 1
    else next()
  }

  return (work) => {
    if (running < width) {
      running += 1
      return work().finally(leave)
    }
    if (waiting.length >= queue) return undefined
    return new Promise<void>((resolve) => waiting.push(resolve)).then(work).finally(leave)
  }
}
