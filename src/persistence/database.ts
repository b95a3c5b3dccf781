import type { EntitySchema } from '@mikro-orm/core'
import { type Migration, Migrator } from '@mikro-orm/migrations'
import { MikroORM as PgliteOrm } from '@mikro-orm/pglite'
import { MikroORM as PostgresOrm, type SqlEntityManager } from '@mikro-orm/postgresql'
import type { DatabaseConfig } from '../config/config.ts'
import type { Log } from '../observability/log.ts'

/** What is kept, under one schema of its own: several services may share one PostgreSQL. */
export interface DatabaseOptions {
  readonly config: Exclude<DatabaseConfig, { kind: 'none' }>
  /** The PostgreSQL schema that the tables live in. */
  readonly schema: string
  readonly entities: readonly EntitySchema[]
  readonly migrations: readonly {
    readonly name: string
    readonly class: new (...args: never[]) => Migration
  }[]
  readonly log: Log
}

export type DatabaseState = 'starting' | 'live' | 'failing'

/** What `follow` reads, and when. */
export interface FollowOptions {
  /** The NOTIFY channel whose notifications say that there is something new. */
  readonly channel: string
  /** It is read this often in any case: a notification may be lost. */
  readonly intervalMs: number
  /** Reads what is new. Never called while it still runs; called once more where it was asked for meanwhile. */
  readonly read: () => Promise<void>
}

/** The database as the rest of the gateway knows it: an entity manager when it is there, a clear error when not. */
export interface Database {
  /**
   * Connects, brings the schema up to date and keeps trying, with back-off, until it has. Resolves then, or when
   * stopped; never rejects.
   */
  start(): Promise<void>
  /** Ends every connection and whatever follows it. Never rejects. */
  stop(): Promise<void>
  /** Whether the schema has been up to date once: from then on the gateway counts as started. */
  readonly ready: () => boolean
  readonly state: () => DatabaseState
  /**
   * Runs `work` with an entity manager of its own, in one transaction.
   * @throws GatewayError `database_unavailable` (503, Retry-After) where the database is away, within the
   *   statement and connect timeouts; what `work` throws itself goes through.
   */
  transaction<T>(work: (em: SqlEntityManager) => Promise<T>): Promise<T>
  /** The same without a transaction: for one statement. */
  run<T>(work: (em: SqlEntityManager) => Promise<T>): Promise<T>
  /**
   * Reads now, after each notification on the channel, and every so often; goes on until `stop`. Where a read
   * fails it is tried again with back-off, at the latest after the interval.
   */
  follow(options: FollowOptions): void
}

/** PostgreSQL where it is configured, the embedded PGlite otherwise; the same tables in both. */
export function createDatabase(options: DatabaseOptions): Database {
  throw new Error(`not yet: ${options.schema} ${Migrator.name} ${PgliteOrm.name} ${PostgresOrm.name}`)
}
