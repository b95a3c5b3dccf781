/** Does a task when its turn comes, and gives what it gives. */
export type Turns = <T>(task: () => Promise<T>) => Promise<T>

/** Lets only so many tasks run at once: first come, first served. */
export function createTurns(atOnce: number): Turns {
  const waiting: (() => void)[] = []
  let running = 0
  return async (task) => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
