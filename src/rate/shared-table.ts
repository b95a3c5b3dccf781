import { randomBytes } from 'node:crypto'
import type { Database } from '../persistence/database.ts'
import type { KeyCount } from './key-count.ts'

export interface SharedTable {
  /**
   * Writes this replica's part of some counts and reads the others' part of all of them.
   *
   * @throws GatewayError (rejects with) `database_unavailable`
   */
  exchange(asked: readonly KeyCount[], written: readonly KeyCount[]): Promise<Heard>
}

interface Heard {
  /** By digest: time and count, time and count … of their runs, by this process's clock. */
  readonly runs: ReadonlyMap<string, readonly number[]>
  /** It is another server than the last time, or the same started anew: what was written is gone, or may be. */
  readonly isNewServer: boolean
}

export interface SharedTableOptions {
  readonly database: Pick<Database, 'run'>
  readonly schema: string
  /** Milliseconds of this process's monotonic clock. */
  readonly now: () => number
}

interface Row {
  readonly clock: number | string
  readonly started: number | string
  readonly key: string | null
  readonly runs: string | null
}

/** Rows whose window is over are deleted this often, where anything is written at all. */
const cleaningIntervalMs = 60_000

/** The table `rate_counts`. Times in it are the database's: no replica's clock has to be right. */
export function createSharedTable({ database, schema, now }: SharedTableOptions): SharedTable {
  const table = `"${schema}"."rate_counts"`
  const replica = randomBytes(9).toString('base64url')
  const clock = 'extract(epoch from clock_timestamp()) * 1000'
  const server = `${clock} as clock, extract(epoch from pg_postmaster_start_time()) as started`
  /** What the database's clock is ahead of this process's. */
  let offset: number | undefined
  let startedAt: number | undefined
  let cleanedAt = Number.NEGATIVE_INFINITY

  const run = (sql: string, parameters: readonly unknown[]) =>
    database.run((em) => em.execute<Row[]>(sql, [...parameters]))

  /** The database looked at its clock at some time between the two: what is known already is corrected by that alone. */
  function learn(databaseMs: number, askedAt: number, answeredAt: number): number {
    const [least, most] = [databaseMs - answeredAt, databaseMs - askedAt]
    offset = offset === undefined ? (least + most) / 2 : Math.min(most, Math.max(least, offset))
    return offset
  }

  async function ask(sql: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
    const askedAt = now()
    const rows = await run(sql, parameters)
    learn(Number(rows[0]!.clock), askedAt, now())
    return rows
  }

  /** Nothing is lost by rows that stay until the next time. */
  async function clean(): Promise<void> {
    if (now() - cleanedAt < cleaningIntervalMs) return
    cleanedAt = now()
    await run(`delete from ${table} where expires_at < ${clock}`, [])
  }

  return {
    async exchange(asked, written) {
      if (offset === undefined) await ask(`select ${server}`, [])
      await clean()
      const rows = written.map((count) => rowOf(count, offset!))
      const answers = await ask(
        `with written as (
          insert into ${table} (key, replica, runs, expires_at)
          select key, ?, runs, expires_at
          from json_to_recordset(?::json) as given (key text, runs text, expires_at bigint)
          on conflict (key, replica) do update set runs = excluded.runs, expires_at = excluded.expires_at)
        select ${server}, others.key, others.runs
        from (select 1) as once left join ${table} as others
          on others.key in (select json_array_elements_text(?::json)) and others.replica <> ?`,
        [replica, JSON.stringify(rows), JSON.stringify(asked.map(({ digest }) => digest)), replica],
      )
      const isNewServer = startedAt !== undefined && Number(answers[0]!.started) !== startedAt
      startedAt = Number(answers[0]!.started)
      const heard = new Map<string, number[]>()
      for (const { key, runs } of answers) {
        if (key === null || runs === null) continue
        const all = heard.get(key) ?? []
        heard.set(key, all)
        readRuns(runs, offset!, all)
      }
      return { runs: heard, isNewServer }
    },
  }
}

/** A run's time is told as its distance from the one before, so that the row stays small. */
function rowOf({ digest, own, windowMs }: KeyCount, offset: number) {
  const runs: number[] = []
  let before = 0
  for (let i = own.head; i < own.times.length; i++) {
    const time = Math.round(own.times[i]! + offset)
    runs.push(time - before, own.counts[i]!)
    before = time
  }
  return { key: digest, runs: runs.join(' '), expires_at: before + windowMs }
}

function readRuns(text: string, offset: number, into: number[]): void {
  const numbers = text === '' ? [] : text.split(' ').map(Number)
  let time = -offset
  for (let i = 0; i < numbers.length; i += 2) {
    time += numbers[i]!
    into.push(time, numbers[i + 1]!)
  }
}
