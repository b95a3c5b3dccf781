import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'

/** What no longer counts, as far as this replica knows, and how well it knows. */
export interface Denials {
  readonly isDenied: (tokenId: string | undefined, sessionId: string | undefined) => boolean
  /** Whether what is known is younger than `REVOCATION_MAX_STALENESS`. */
  readonly isFresh: () => boolean
  /** How old that is, in milliseconds; infinite before the first reading. */
  readonly ageMs: () => number
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

export interface DenialsOptions {
  readonly database: Pick<Database, 'run' | 'follow'>
  readonly log: Log
  readonly pollingIntervalMs: number
  readonly maxStalenessMs: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonicNow?: () => number
}

/**
 * How long a denial is kept after the last token it concerns has expired: twice the 60 s by which clocks may differ,
 * since a token is still believed by a replica whose clock is behind.
 */
export const denialMarginSeconds = 120

const channel = 'munjigi_denials'
const sweepIntervalMs = 60_000

/**
 * Everything that is denied, in memory. What is new is read by transaction id: a row that was not visible to the
 * previous read belongs to a transaction that was still running then or began later, so its id is at least that
 * read's `pg_snapshot_xmin`. Times or a sequence would miss a commit that was overtaken.
 */
export function createDenials(options: DenialsOptions): Denials {
  const { database, log, pollingIntervalMs, maxStalenessMs } = options
  const { now = Date.now, monotonicNow = () => performance.now() } = options
  // Id → until; apart, so that a request looks up what its token has and builds no key.
  const tokens = new Map<string, number>()
  const sessions = new Map<string, number>()
  let horizon = everything
  let freshAt = Number.NEGATIVE_INFINITY
  let sweptAt = monotonicNow()

  function remember(denials: readonly Denial[]): void {
    for (const { key, until } of denials) {
      const known = key.startsWith('sid:') ? sessions : tokens
      const id = key.slice(4)
      if (until > (known.get(id) ?? 0)) known.set(id, until)
    }
  }

  async function read(): Promise<void> {
    const beganAt = monotonicNow()
    try {
      const news = await database.run((em) => readSince(em, horizon))
      if (BigInt(news.horizon) < BigInt(horizon)) {
        // Transaction ids went backwards: this is another database, restored or failed over to.
        log.warn({}, 'the database counts its transactions anew: all revocations are read again')
        horizon = everything
        return await read()
      }
      remember(news.denials)
      horizon = news.horizon
      freshAt = beganAt
    } catch (error) {
      // Whoever answers next may be another server, with ids of its own.
      horizon = everything
      throw error
    }
    sweep()
  }

  function sweep(): void {
    if (monotonicNow() - sweptAt < sweepIntervalMs) return
    sweptAt = monotonicNow()
    const expired = now() / 1000 - denialMarginSeconds
    for (const known of [tokens, sessions]) {
      for (const [id, until] of known) if (until < expired) known.delete(id)
    }
  }

  return {
    isDenied: (tokenId, sessionId) =>
      (tokenId !== undefined && tokens.has(tokenId)) || (sessionId !== undefined && sessions.has(sessionId)),
    isFresh: () => monotonicNow() - freshAt < maxStalenessMs,
    ageMs: () => monotonicNow() - freshAt,
    write: writeDenials,
    remember,
    start: () => database.follow({ channel, intervalMs: pollingIntervalMs, read }),
  }
}

/** A horizon that every row is at or beyond. */
const everything = '0'

interface News {
  /** Where the next read has to begin. */
  readonly horizon: string
  readonly denials: readonly Denial[]
}

/** What was written since the read that gave `horizon`, and some of what that read has seen already. */
async function readSince(em: SqlEntityManager, horizon: string): Promise<News> {
  // One statement: the horizon has to be of the very snapshot that the rows are read in.
  const rows: { horizon: string; key: string | null; until: number }[] = await em.execute(
    `select pg_snapshot_xmin(pg_current_snapshot())::text as horizon, denials.key,
      extract(epoch from denials.expires_at)::float8 as until
    from (select 1) as always left join munjigi.denials
      on denials.transaction_id >= ?::xid8 and denials.expires_at > now() - make_interval(secs => ?)`,
    [horizon, denialMarginSeconds],
  )
  const denials = rows.flatMap(({ key, until }) => (key === null ? [] : [{ key, until }]))
  return { horizon: rows[0]!.horizon, denials }
}

async function writeDenials(em: SqlEntityManager, denials: readonly Denial[]): Promise<void> {
  if (denials.length === 0) return
  // In the order of their keys, so that two transactions never wait for each other.
  await em.execute(
    `insert into munjigi.denials (key, expires_at)
      select key, to_timestamp(max(until))
      from jsonb_to_recordset(?::jsonb) as given (key text, until float8)
      group by key order by key
    on conflict (key) do update set expires_at = greatest(denials.expires_at, excluded.expires_at),
      transaction_id = pg_current_xact_id()`,
    [JSON.stringify(denials)],
  )
  await em.execute(`select pg_notify('${channel}', '')`)
}
