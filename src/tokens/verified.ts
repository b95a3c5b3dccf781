import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Identity } from './identity.ts'

/** What a verified token is worth at the door: who it is, and what the house will be told. */
export interface Pass {
  readonly identity: Identity
  /** Name, value, name, value …: made once for a token, sent with each of its requests. */
  readonly headers: readonly string[]
}

/** Tokens that were verified, for as long as that counts and there is room. */
export interface VerifiedTokens {
  /** @param nowSeconds since the epoch */
  get(token: string, nowSeconds: number): Pass | undefined
  /** @param untilSeconds since the epoch: from then on it has to be verified anew, or has expired */
  add(token: string, pass: Pass, untilSeconds: number): void
}

/**
 * Remembers verified tokens under their SHA-256, so that no token lies about in memory and none can be found by
 * how long a comparison takes. Whether one was revoked meanwhile is asked by the guard, every time.
 *
 * @param most how many; 0 for none
 */
export function createVerifiedTokens(most: number): VerifiedTokens {
  if (most === 0) return { get: () => undefined, add: () => {} }
  const passes = new LRUCache<string, { readonly pass: Pass; readonly untilSeconds: number }>({ max: most })
  const keyOf = (token: string) => hash('sha256', token, 'base64')
  return {
    get(token, nowSeconds) {
      const key = keyOf(token)
      const known = passes.get(key)
      if (known === undefined || known.untilSeconds > nowSeconds) return known?.pass
      passes.delete(key)
      return undefined
    },
    add: (token, pass, untilSeconds) => void passes.set(keyOf(token), { pass, untilSeconds }),
  }
}
