import type { Identity } from './identity.ts'

/** Strings that pass for access tokens at a development gateway. */
export interface Dummies {
  add(token: string, identity: Identity): void
  /** @param token as it came in a header; undefined where it is none, or has expired */
  find(token: string): Identity | undefined
}

const most = 1000

/** @param now milliseconds since the epoch */
export function createDummies(now: () => number = Date.now): Dummies {
  const identities = new Map<string, Identity>()
  // A header's value comes without the blanks around it.
  const keyOf = (token: string) => token.trim()
  return {
    add(token, identity) {
      const key = keyOf(token)
      identities.delete(key)
      identities.set(key, identity)
      const [oldest] = identities.keys()
      if (identities.size > most) identities.delete(oldest!)
    },
    find(token) {
      if (identities.size === 0) return undefined
      const key = keyOf(token)
      // Node reads a header's bytes as latin1, while what was typed is sent as UTF-8.
      const identity = identities.get(key) ?? identities.get(keyOf(Buffer.from(token, 'latin1').toString()))
      return identity !== undefined && identity.expiresAt > now() / 1000 ? identity : undefined
    },
  }
}
