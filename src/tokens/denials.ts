import type { SqlEntityManager } from '@mikro-orm/postgresql'

/** What no longer counts, as far as this replica knows, and how well it knows. */
export interface Denials {
  readonly isDenied: (tokenId: string | undefined, sessionId: string | undefined) => boolean
  /** Whether what is known is younger than `REVOCATION_MAX_STALENESS`. */
  readonly isFresh: () => boolean
  /**
   * Writes denials, tells the other replicas once the transaction commits. Call `remember` after the commit.
   * @param until seconds since the epoch: when the last token concerned has expired
   */
  write(em: SqlEntityManager, denials: readonly Denial[]): Promise<void>
  /** This replica knows from now on. */
  remember(denials: readonly Denial[]): void
  /** Follows the database until it stops. */
  start(): void
}

export interface Denial {
  /** `jti:<id>` or `sid:<id>` */
  readonly key: string
  readonly until: number
}
