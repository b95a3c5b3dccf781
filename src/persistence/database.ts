import type { EntitySchema } from '@mikro-orm/core'
import type { Migration } from '@mikro-orm/migrations'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { DatabaseConfig } from '../config/config.ts'
import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'
import { type Connected, createConnector, type PoolStatus } from './connector.ts'
import type { Embedded } from './embedded.ts'
import { createFaultLog } from './fault-log.ts'
import { ConnectionFault, describeFault, isConnectionFault, retryDelayMs } from './faults.ts'
import { createFollower, type Follower } from './follow.ts'
import { migrate } from './migrate.ts'

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
  /**
   * The embedded database of `config.dataDir`, where others of this process use it too; whoever opened it closes
   * it. Otherwise it is opened and closed here.
   */
  readonly embedded?: Embedded
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
  /** How its connections are used; undefined for the embedded one, which has none. */
  readonly pool: (() => PoolStatus) | undefined
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
  const connector = createConnector(options, (channel) => {
    for (const follower of followers.get(channel) ?? []) follower.wake()
  })
  const faults = createFaultLog(options.log, options.schema)
  const followers = new Map<string, Follower[]>()
  const waiting: FollowOptions[] = []
  const stopping = new AbortController()
  let connected: Connected | undefined
  let failing = false

  async function attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      failing = false
      faults.over()
      return result
    } catch (error) {
      if (!isConnectionFault(error)) throw error
      if (!stopping.signal.aborted) {
        failing = true
        faults.tell(error)
      }
      throw unavailable(error)
    }
  }

  async function connectAndMigrate(): Promise<Connected> {
    const made = await connector.connect()
    await migrate(made.orm, options.schema)
    return made
  }

  function begin({ channel, intervalMs, read }: FollowOptions): void {
    const follower = createFollower(read, intervalMs, (error) => {
      // The database being away has been said where it was asked.
      if (error instanceof GatewayError && error.code === 'database_unavailable') return
      options.log.error(
        { schema: options.schema, channel, fault: describeFault(error) },
        'reading anew failed',
      )
    })
    followers.set(channel, [...(followers.get(channel) ?? []), follower])
    connected?.listener.listen(channel)
  }

  function perform<T>(work: (em: SqlEntityManager) => Promise<T>): Promise<T> {
    // No fault that anybody needs to be told of: `start` tells of its own.
    if (connected === undefined) return Promise.reject(unavailable(new ConnectionFault('not started')))
    const { em } = connected.orm
    // Without the context of whatever transaction the caller may be in: this is another one.
    return attempt(() => work(em.fork({ disableContextResolution: true })))
  }

  return {
    async start() {
      for (let failures = 1; !stopping.signal.aborted; failures++) {
        try {
          const made = await connectAndMigrate()
          if (stopping.signal.aborted) return
          connected = made
          failing = false
          faults.over()
          for (const follow of waiting.splice(0)) begin(follow)
          return
        } catch (error) {
          if (stopping.signal.aborted) return
          // Whatever it is: a migration that fails today may find its rights granted tomorrow.
          failing = true
          faults.tell(error)
        }
        await pause(retryDelayMs(failures), stopping.signal)
      }
    },
    async stop() {
      stopping.abort()
      connected = undefined
      await Promise.all([...followers.values()].flat().map((follower) => follower.stop()))
      await connector.close()
    },
    ready: () => connected !== undefined,
    pool: connector.pool,
    state: () => (failing ? 'failing' : connected === undefined ? 'starting' : 'live'),
    transaction: (work) => perform((em) => em.transactional(work)),
    run: perform,
    follow(follow) {
      if (stopping.signal.aborted) return
      if (connected === undefined) waiting.push(follow)
      else begin(follow)
    },
  }
}

function unavailable(cause: unknown): GatewayError {
  return new GatewayError('database_unavailable', { headers: { 'Retry-After': '2' }, cause })
}

/** Ends early where it is no longer wanted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
