/** Who is calling, from a token that was verified. */
export interface Identity {
  readonly subject: string
  /** Who issued the token; a subject is unique only together with it. */
  readonly issuer: string
  readonly clientId: string | undefined
  readonly scopes: ReadonlySet<string>
  /** As the token has it, space-separated; empty for none. */
  readonly scope: string
  /** Of the token; undefined for a dummy. */
  readonly tokenId: string | undefined
  readonly sessionId: string | undefined
  /** Seconds since the epoch; the token is worth nothing from then on. */
  readonly expiresAt: number
}
