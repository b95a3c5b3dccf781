import type { Denials } from './denials.ts'
import type { Identity } from './identity.ts'
import type { KeyRing } from './keys.ts'

/** What may have happened to a token since it was verified. */
export interface Revocations {
  /** Whether it was revoked, or its key is trusted no more, as far as is known; others' tokens never are. */
  readonly isRevoked: (identity: Identity) => boolean
  /** Whether what is known is younger than `REVOCATION_MAX_STALENESS`. */
  readonly isFresh: () => boolean
}

export interface RevocationsOptions {
  /** The gateway's own, as in `iss`: only its tokens are revoked here. */
  readonly issuer: string
  readonly denials: Pick<Denials, 'isDenied' | 'isFresh'>
  readonly keys: Pick<KeyRing, 'find'>
}

export function createRevocations({ issuer, denials, keys }: RevocationsOptions): Revocations {
  return {
    isRevoked: ({ issuer: by, keyId, tokenId, sessionId }) =>
      by === issuer &&
      (denials.isDenied(tokenId, sessionId) || (keyId !== undefined && keys.find(keyId) === undefined)),
    isFresh: denials.isFresh,
  }
}
