import type { Identity } from './identity.ts'

/** Strings that pass for access tokens at a development gateway. */
export interface Dummies {
  add(token: string, identity: Identity): void
  /** @param token as it came in a header or a body; undefined where it is none, or has expired */
  find(token: string): Identity | undefined
  /** Whether there was one. */
  remove(token: string): boolean
  /** Whether a page of this origin may have one made: see below. */
  isWelcome(origin: string | undefined, host: string | undefined): boolean
}

export interface DummiesOptions {
  /** PUBLIC_URL's origin and CORS_ORIGINS. */
  readonly origins: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

const most = 1000

export function createDummies({ origins, now = Date.now }: DummiesOptions): Dummies {
  const identities = new Map<string, Identity>()
  const welcome = new Set(origins)
  // A header's value comes without the blanks around it.
  const keyOf = (token: string) => token.trim()
  // Node reads a header's bytes as latin1, while what was typed is sent as UTF-8.
  const keysOf = (token: string) => [keyOf(token), keyOf(Buffer.from(token, 'latin1').toString())]

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
      const [typed = '', sent = ''] = keysOf(token)
      const identity = identities.get(typed) ?? identities.get(sent)
      return identity !== undefined && identity.expiresAt > now() / 1000 ? identity : undefined
    },
    remove: (token) => keysOf(token).some((key) => identities.delete(key)),
    /**
     * Nobody has to show who he is for a dummy, and a form is posted from any page without asking (Fetch standard
     * §3.2). So that no page that a developer happens to look at makes tokens for the gateway on his machine, its
     * origin has to be one that is known, or the very host that the request came to: Swagger UI, under whatever
     * name it was opened. Programs that are no browsers send no Origin.
     */
    isWelcome(origin, host) {
      if (origin === undefined || welcome.has(origin)) return true
      return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()
    },
  }
}
