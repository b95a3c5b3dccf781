import { Client, type ClientConfig, type Pool } from 'pg'
import type { DatabaseConfig } from '../config/config.ts'
import { ConnectionFault } from './faults.ts'

export type PostgresConfig = Extract<DatabaseConfig, { kind: 'postgres' }>

/** How much longer than the server we wait: its own `statement_timeout` should be the first to speak. */
const answerSlackMs = 250

/** Connections that cannot hang, and a way to cut them all. */
export interface PostgresClients {
  /** The class of client that the pool makes its connections with. */
  readonly Client: typeof Client
  /** Set by whoever makes a pool of them. */
  pool: Pool | undefined
  /** Cuts every connection that is still open, without a goodbye that a frozen server would not answer. */
  destroyAll(): void
}

/**
 * A server that is frozen or cut off answers nothing, and pg's own `query_timeout` would hand the connection back to
 * the pool with its query still running. Here a query without an answer costs the connection, and with it every idle
 * one that has not been heard of since: after a partition or failover the pool starts afresh at once.
 */
export function createPostgresClients(config: PostgresConfig): PostgresClients {
  const clients = new Set<BoundedClient>()
  const answerMs = config.statementTimeoutMs + answerSlackMs

  class BoundedClient extends Client {
    #heardAt = 0
    #running = 0
    #release: ((error?: Error | boolean) => void) | undefined

    constructor(options?: string | ClientConfig) {
      super(options)
      clients.add(this)
      this.once('end', () => {
        clients.delete(this)
        this.#release?.(true)
      })
    }

    /**
     * Set by the pool whenever it lends the connection. Kysely gives it back only after a rollback that succeeded, so
     * one that was lost within a transaction would count as lent for ever: then it is given back here.
     */
    set release(release: (error?: Error | boolean) => void) {
      let lent = true
      this.#release = (error) => {
        if (!lent) return
        lent = false
        release(error)
      }
    }

    get release() {
      return this.#release ?? (() => {})
    }

    destroy(reason: string): void {
      clients.delete(this)
      // Not in @types/pg.
      const { connection } = this as unknown as {
        connection: { stream: NodeJS.WritableStream & Destroyable }
      }
      connection.stream.destroy(new ConnectionFault(reason))
    }

    // pg's overloads cannot be said again in fewer words; what comes in goes on untouched.
    override query(...args: unknown[]): never {
      const result = (super.query as (...args: unknown[]) => unknown).apply(this, args)
      if (result instanceof Promise) this.#bound(result)
      return result as never
    }

    #bound(answer: Promise<unknown>): void {
      const askedAt = performance.now()
      this.#running++
      const timer = setTimeout(() => {
        const silent = [...clients].filter((other) => other !== this && other.#isSilentSince(askedAt))
        this.destroy('no answer within the statement timeout')
        for (const other of silent) other.destroy('not heard of for as long as another connection')
      }, answerMs)
      const settle = (error?: { code?: unknown }) => {
        clearTimeout(timer)
        this.#running--
        this.#heardAt = performance.now()
        // A primary that has become a replica: the next connection may find its successor.
        if (error?.code === '25006') this.destroy('the server is read-only')
      }
      answer.then(() => settle(), settle)
    }

    #isSilentSince(time: number): boolean {
      return this.#running === 0 && this.#heardAt > 0 && this.#heardAt < time
    }
  }

  return {
    Client: BoundedClient,
    pool: undefined,
    destroyAll() {
      for (const client of clients) client.destroy('closing')
    },
  }
}

interface Destroyable {
  destroy(error: Error): void
}

/** Options of one connection, of the pool's and of the one that listens. */
export function connectionOptions(config: PostgresConfig) {
  return {
    connectionString: config.url,
    application_name: 'munjigi',
    connectionTimeoutMillis: config.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  }
}

/** Options of MikroORM's pool. */
export function poolOptions(config: PostgresConfig, clients: PostgresClients) {
  return {
    ...connectionOptions(config),
    Client: clients.Client,
    max: config.poolSize,
    idleTimeoutMillis: 30_000,
    onPoolCreated(pool: Pool) {
      pool.on('error', () => {})
      clients.pool = pool
    },
    // Said in SQL, since poolers such as PgBouncer refuse start-up parameters that they do not know. An open
    // transaction whose gateway has gone silent must not keep its locks.
    onConnect: async (client: Client) => {
      const idleMs = config.statementTimeoutMs * 2
      await client.query(
        `set statement_timeout = ${config.statementTimeoutMs}; set idle_in_transaction_session_timeout = ${idleMs}`,
      )
    },
  }
}
