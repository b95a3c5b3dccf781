import type { Pass } from '../../src/tokens/verified.ts'

/** What the guard finds out about a caller of this name. */
export function passOf(subject: string, issuer = 'https://gateway.example'): Pass {
  return {
    identity: {
      ...{ subject, issuer, clientId: undefined, scopes: new Set(), scope: '' },
      ...{ tokenId: undefined, sessionId: undefined, expiresAt: Number.POSITIVE_INFINITY },
    },
    headers: [],
  }
}
