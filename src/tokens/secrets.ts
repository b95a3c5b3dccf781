import { createHmac, hash, hkdfSync, randomBytes } from 'node:crypto'

/** 256 random bits, opaque to everybody: a refresh token, a login's state or code. */
export const randomToken = () => randomBytes(32).toString('base64url')

/** What may be one; anything else need not be looked for. */
export const isRandomTokenShaped = (token: string) => /^[A-Za-z0-9_-]{43}$/.test(token)

/** What is stored of a refresh token, and found by it: of 256 random bits a plain hash tells nothing. */
export const hashOf = (token: string) => hash('sha256', token, 'base64url')

/** Gives the one successor of a refresh token, the same in every replica; nobody can who lacks the key. */
export type DeriveSuccessor = (refreshToken: string) => string

/** @param secret a key-encryption key; what derives successors is derived from it (HKDF, RFC 5869) */
export function createSuccessorDerivation(secret: Uint8Array): DeriveSuccessor {
  const key = new Uint8Array(hkdfSync('sha256', secret, '', 'munjigi refresh token successor', 32))
  return (refreshToken) => createHmac('sha256', key).update(refreshToken).digest('base64url')
}
