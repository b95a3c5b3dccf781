/** Work that goes on though nobody waits for it any more. */
export interface Pending {
  /** What `work` resolves with, or `otherwise` where that takes too long; `work` goes on then. */
  within<T>(ms: number, work: Promise<T>, otherwise: T): Promise<T>
  /** Resolves when nothing goes on. */
  settled(): Promise<void>
}

export function createPending(): Pending {
  const going = new Set<Promise<unknown>>()
  return {
    async within(ms, work, otherwise) {
      const ended = work.then(
        () => {},
        () => {},
      )
      going.add(ended)
      void ended.then(() => going.delete(ended))
      const { promise, resolve } = Promise.withResolvers<typeof otherwise>()
      const timer = setTimeout(resolve, ms, otherwise)
      try {
        return await Promise.race([work, promise])
      } finally {
        clearTimeout(timer)
      }
    },
    async settled() {
      while (going.size > 0) await Promise.all(going)
    },
  }
}
