import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import { denialMarginSeconds } from './denials.ts'
import { longestAccessTokenLifetimeSeconds } from './lifetimes.ts'

export interface Pruner {
  /** Deletes what has expired, every so often, until `stop`. */
  start(): void
  stop(): void
  /** Deletes what has expired now, unless another replica is at it. Resolves with the number of rows. */
  prune(): Promise<number>
}

export interface PrunerOptions {
  readonly database: Pick<Database, 'transaction' | 'ready'>
  readonly log: Log
  readonly intervalMs?: number
  /** How many rows one transaction deletes at the most. */
  readonly batchSize?: number
  readonly random?: () => number
}

/**
 * Sessions take their refresh tokens with them; they stay until the last access token that they can have had is gone,
 * the longest lifetime there is and the clocks' differences, since that is revoked through them.
 */
const sessionMarginSeconds = longestAccessTokenLifetimeSeconds + denialMarginSeconds

const tables = [
  { name: 'denials', id: 'key', marginSeconds: denialMarginSeconds },
  { name: 'refresh_tokens', id: 'hash', marginSeconds: sessionMarginSeconds },
  { name: 'sessions', id: 'id', marginSeconds: sessionMarginSeconds },
  { name: 'login_attempts', id: 'state_hash', marginSeconds: 0 },
  { name: 'login_codes', id: 'hash', marginSeconds: 0 },
] as const

/** Keeps the tables as small as what is still of use; in batches, each a short transaction of its own. */
export function createPruner(options: PrunerOptions): Pruner {
  const { database, log, intervalMs = 60_000, batchSize = 1000, random = Math.random } = options
  let timer: NodeJS.Timeout | undefined
  let stopped = true

  function deleteBatch(table: (typeof tables)[number]): Promise<number> {
    const { name, id, marginSeconds } = table
    return database.transaction(async (em) => {
      const [lock]: { free: boolean }[] = await em.execute(
        `select pg_try_advisory_xact_lock(hashtextextended('munjigi.prune', 0)) as free`,
      )
      if (lock?.free !== true) return 0
      const { affectedRows } = await em.execute<{ affectedRows: number }>(
        `delete from munjigi.${name} where ${id} in (select ${id} from munjigi.${name}
          where expires_at < now() - make_interval(secs => ?) order by expires_at limit ?)`,
        [marginSeconds, batchSize],
        'run',
      )
      return affectedRows
    })
  }

  async function prune(): Promise<number> {
    let total = 0
    for (const table of tables) {
      let deleted: number
      do {
        deleted = await deleteBatch(table)
        total += deleted
      } while (deleted === batchSize)
    }
    return total
  }

  function schedule(): void {
    if (stopped) return
    timer = setTimeout(run, intervalMs * (0.5 + random())).unref()
  }

  async function run(): Promise<void> {
    if (database.ready()) {
      await prune().then(
        (rows) => rows > 0 && log.debug({ rows }, 'expired rows deleted'),
        // The database says itself that it is away.
        () => {},
      )
    }
    schedule()
  }

  return {
    start() {
      stopped = false
      schedule()
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
    prune,
  }
}
