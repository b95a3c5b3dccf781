/** Counts by two names, each of a bounded set: there is one number for each pair that has come up. */
export interface Tally {
  add(first: string, second: string): void
  read(): Iterable<readonly [count: number, first: string, second: string]>
}

export function createTally(): Tally {
  const counts = new Map<string, Map<string, number>>()
  return {
    add(first, second) {
      const ofFirst = counts.get(first) ?? new Map<string, number>()
      counts.set(first, ofFirst)
      ofFirst.set(second, (ofFirst.get(second) ?? 0) + 1)
    },
    *read() {
      for (const [first, ofFirst] of counts)
        for (const [second, count] of ofFirst) yield [count, first, second]
    },
  }
}
