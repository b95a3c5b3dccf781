import type { Identity } from '../tokens/identity.ts'

/** Watches the tokens that something long was opened with. */
export interface TokenWatch {
  /**
   * Calls `onEnd` once, when the token has expired or was revoked.
   * @returns ends the watching
   */
  add(identity: Identity, onEnd: () => void): () => void
}

export interface TokenWatchOptions {
  readonly isRevoked: (identity: Identity) => boolean
  /** How often is looked: how late it may be noticed. */
  readonly intervalMs?: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

interface Watched {
  readonly identity: Identity
  readonly onEnd: () => void
}

/** One timer looks after all of them, and runs only while there are any; looking is a matter of memory alone. */
export function createTokenWatch(options: TokenWatchOptions): TokenWatch {
  const { isRevoked, intervalMs = 1000, now = Date.now } = options
  const watched = new Set<Watched>()
  let timer: NodeJS.Timeout | undefined

  function look(): void {
    const seconds = now() / 1000
    for (const one of watched) {
      if (one.identity.expiresAt > seconds && !isRevoked(one.identity)) continue
      forget(one)
      one.onEnd()
    }
  }

  function forget(one: Watched): void {
    watched.delete(one)
    if (watched.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    add(identity, onEnd) {
      const one = { identity, onEnd }
      watched.add(one)
      timer ??= setInterval(look, intervalMs).unref()
      return () => forget(one)
    },
  }
}
