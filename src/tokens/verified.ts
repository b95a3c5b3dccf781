import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Identity } from './identity.ts'

/** What a verified token is worth at the door: who it is, and what the house will be told. */
export interface Pass {
  readonly identity: Identity
  /** Name, value, name, value …: made once for a token, sent with each of its requests. */
  readonly headers: readonly string[]
}

/** Tokens that were verified, for as long as they live and there is room. */
export interface VerifiedTokens {
  /** @param nowSeconds since the epoch */
  get(token: string, nowSeconds: number): Pass | undefined
  add(token: string, pass: Pass): void
  clear(): void
}

/**
 * Remembers verified tokens under their SHA-256, so that no token lies about in memory and none can be found by
 * how long a comparison takes. Whether one was revoked meanwhile is asked by the guard, every time.
 *
 * @param most how many; 0 for none
 */
export function createVerifiedTokens(most: number): VerifiedTokens {
  if (most === 0) return { get: () => undefined, add: () => {}, clear: () => {} }
  const passes = new LRUCache<string, Pass>({ max: most })
  const keyOf = (token: string) => hash('sha256', token, 'base64')
  return {
    get(token, nowSeconds) {
      const key = keyOf(token)
      const pass = passes.get(key)
      if (pass === undefined || pass.identity.expiresAt > nowSeconds) return pass
      passes.delete(key)
      return undefined
    },
    add: (token, pass) => void passes.set(keyOf(token), pass),
    clear: () => passes.clear(),
  }
}
