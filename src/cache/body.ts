/** How much of the cache's memory is taken by what is not stored yet. */
export interface Budget {
  /** Whether there are so many bytes more; they are taken then. */
  take(bytes: number): boolean
  giveBack(bytes: number): void
}

/** The body of one reply, as it comes. */
export interface Collector {
  /** False where it is too large, or there is no memory for it: nothing of it is kept then. */
  add(chunk: Buffer): boolean
  /** Everything that has come, in memory of its own. */
  whole(): Buffer
  drop(): void
}

const firstBytes = 8192

/**
 * Copies what comes: undici's chunks are parts of larger pieces, each of which would stay in memory for the least of them.
 *
 * @param length where it is known beforehand
 * @param most bytes
 */
export function createCollector(budget: Budget, length: number | undefined, most: number): Collector {
  let buffer: Buffer | undefined
  let taken = 0
  let size = 0

  function grow(wanted: number): boolean {
    if (buffer !== undefined && wanted <= buffer.length) return true
    const capacity = length ?? Math.min(most, Math.max(firstBytes, taken * 2, wanted))
    if (wanted > capacity || wanted > most || !budget.take(capacity - taken)) return false
    taken = capacity
    const larger = Buffer.allocUnsafeSlow(capacity)
    buffer?.copy(larger, 0, 0, size)
    buffer = larger
    return true
  }

  function drop(): void {
    budget.giveBack(taken)
    buffer = undefined
    taken = 0
    size = 0
  }

  return {
    add(chunk) {
      if (!grow(size + chunk.length)) {
        drop()
        return false
      }
      chunk.copy(buffer!, size)
      size += chunk.length
      return true
    },
    whole() {
      if (buffer === undefined) return Buffer.alloc(0)
      if (size === buffer.length) return buffer
      const exact = Buffer.allocUnsafeSlow(size)
      buffer.copy(exact, 0, 0, size)
      return exact
    },
    drop,
  }
}
