import { setTimeout as delay } from 'node:timers/promises'
import type { MikroORM } from '@mikro-orm/postgresql'
import type { DatabaseOptions } from './database.ts'
import { openEmbedded } from './embedded.ts'
import { createPgliteListener, createPostgresListener, type Listener } from './listen.ts'
import { createPgliteOrm, createPostgresOrm } from './orm.ts'
import { createPostgresClients } from './postgres.ts'

export interface Connected {
  readonly orm: MikroORM
  readonly listener: Listener
}

/** Either kind of database, as far as they differ. */
export interface Connector {
  /** Safe to call again where it, or what came after it, failed. */
  connect(): Promise<Connected>
  close(): Promise<void>
  /** Undefined for a database that has no connections. */
  readonly pool: (() => PoolStatus) | undefined
}

/** The connections of a pool, and how many requests wait for one. */
export interface PoolStatus {
  readonly used: number
  readonly idle: number
  readonly waiting: number
  readonly most: number
}

/** How long a polite goodbye may take before the connections are cut. */
const goodbyeMs = 1000

/** @param hear called with the channel of each notification */
export function createConnector(options: DatabaseOptions, hear: (channel: string) => void): Connector {
  const { config } = options
  let made: Connected | undefined
  if (config.kind === 'embedded') {
    const embedded = options.embedded ?? openEmbedded(config.dataDir)
    return {
      async connect() {
        const pglite = await embedded.open()
        made ??= { orm: createPgliteOrm(options, pglite), listener: createPgliteListener(pglite, hear) }
        return made
      },
      async close() {
        await made?.listener.stop()
        await made?.orm.close(true)
        if (options.embedded === undefined) await embedded.close()
      },
      pool: undefined,
    }
  }
  const clients = createPostgresClients(config)
  return {
    async connect() {
      made ??= {
        orm: createPostgresOrm(options, config, clients),
        listener: createPostgresListener(config, clients, hear),
      }
      return made
    },
    async close() {
      // A frozen server does not answer the goodbye, and a transaction that never ends never lets go.
      const goodbye = new AbortController()
      const closing = (async () => {
        await made?.listener.stop()
        await made?.orm.close(true)
      })().catch(() => {})
      await Promise.race([closing, delay(goodbyeMs, undefined, { signal: goodbye.signal }).catch(() => {})])
      goodbye.abort()
      clients.destroyAll()
    },
    pool() {
      const { totalCount = 0, idleCount = 0, waitingCount = 0 } = clients.pool ?? {}
      return { used: totalCount - idleCount, idle: idleCount, waiting: waitingCount, most: config.poolSize }
    },
  }
}
