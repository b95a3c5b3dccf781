import { RateLimiterPostgres } from 'rate-limiter-flexible'
import type { RateConfig } from '../config/config.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import { createPgQuery } from '../persistence/pg-query.ts'

export interface SharedCounts {
  /** Adds one to a key's count; in the background. */
  add(key: string): void
}

export interface SharedCountsOptions {
  readonly database: Pick<Database, 'run'>
  /** The PostgreSQL schema of the table `rate_limits`. */
  readonly schema: string
  readonly rate: RateConfig
  /** What all replicas together have counted of a key, and for how long that counts. */
  readonly onCount: (key: string, count: number, msLeft: number) => void
  readonly log: Log
}

/** Keys whose counts wait to be written; those beyond are not shared. */
const mostPending = 10_000

/** Rows whose window is over are deleted this often, where anything is written at all. */
const cleaningIntervalMs = 5 * 60_000

/**
 * Counts that replicas share through PostgreSQL. They are written one after the other, several of one key at once, so
 * that a flood takes no more than one connection and no request ever waits; what cannot be written because the
 * database is away is dropped, since each replica has counted for itself already.
 */
export function createSharedCounts(options: SharedCountsOptions): SharedCounts {
  const { database, schema, rate, onCount, log } = options
  const limiter = new RateLimiterPostgres({
    storeClient: { query: createPgQuery(database) },
    storeType: 'client',
    schemaName: schema,
    tableName: 'rate_limits',
    tableCreated: true,
    keyPrefix: 'failures',
    points: rate.points,
    duration: rate.seconds,
    // Its own timer would outlive the gateway.
    clearExpiredByTimeout: false,
  })
  const pending = new Map<string, number>()
  let writing = false
  let failing = false
  let cleanedAt = Number.NEGATIVE_INFINITY

  /** Nothing is lost by rows that stay until the next time. */
  async function clean(): Promise<void> {
    const sql = `delete from "${schema}"."rate_limits" where expire < ?`
    await database.run((em) => em.execute(sql, [Date.now()])).catch(() => {})
  }

  async function write(): Promise<void> {
    if (writing) return
    writing = true
    const now = performance.now()
    if (now - cleanedAt > cleaningIntervalMs) {
      cleanedAt = now
      await clean()
    }
    // Those that are added meanwhile are met as well.
    for (const [key, points] of pending) {
      pending.delete(key)
      try {
        const { consumedPoints, msBeforeNext } = await limiter.penalty(key, points)
        onCount(key, consumedPoints, msBeforeNext)
        failing = false
      } catch {
        // It is the database that tells why it is away.
        if (!failing) log.warn({}, 'failed authentications are not shared with other replicas for now')
        failing = true
        pending.clear()
      }
    }
    writing = false
  }

  return {
    add(key) {
      if (pending.size >= mostPending && !pending.has(key)) return
      pending.set(key, (pending.get(key) ?? 0) + 1)
      void write()
    },
  }
}
