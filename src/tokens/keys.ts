import type { CryptoKey, JWK } from 'jose'

/** The gateway's own signing keys as a request needs them: everything is in memory. */
export interface KeyRing {
  /** The key that signs now; undefined until the keys have been read for the first time. */
  readonly active: () => SigningKeyPair | undefined
  /** The public key of a `kid`, for verifying; undefined for one that is not ours. */
  readonly find: (kid: string) => CryptoKey | undefined
  /** The JSON Web Key Set (RFC 7517): next, active and retired keys, public members only. */
  readonly jwks: () => { readonly keys: readonly JWK[] }
  /** Reads the keys, makes the first ones, follows changes, rotates by age: for as long as the database runs. */
  start(): void
  stop(): void
  /**
   * Puts the next key in the active one's place.
   * @param now also where the next key was published so lately that others may not know it
   * @returns the kid that signs from now on
   */
  rotate(options?: { readonly now?: boolean }): Promise<string>
}

export interface SigningKeyPair {
  readonly kid: string
  readonly algorithm: 'ES256'
  readonly privateKey: CryptoKey
}
