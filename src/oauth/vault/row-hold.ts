import type { Database } from '../../persistence/database.ts'
import type { ConnectionRow } from '../entities.ts'
import type { Questions } from './questions.ts'
import { changeRow, type LockTimes, lockRow, type RowChange, readRow } from './vault-rows.ts'

/** A connection's row while something is done about it. */
export interface HeldRow {
  readonly row: ConnectionRow
  /** Gives `false`, and changes nothing, where its tokens were replaced or it was removed meanwhile. */
  change(change: RowChange): Promise<boolean>
  /** Before the provider is asked: gives `false` where another process may have its answer already. */
  begin(): Promise<boolean>
  /** Does `ask`, which waits for the provider; other processes see meanwhile that somebody does. */
  whileAsking<T>(ask: () => Promise<T>): Promise<T>
}

/** Does `work` with a row; undefined where there is none. What `work` changes stays changed unless it throws. */
export type HoldRow = <T>(
  which: { readonly id: string; readonly subject: string },
  work: (held: HeldRow | undefined) => Promise<T>,
) => Promise<T>

/**
 * For a database that several processes may have: nobody else has the row while `work` goes on. The transaction is
 * idle while a provider is asked, which the pool allows for a shorter time than that takes.
 */
export function createRowLock(
  database: Pick<Database, 'transaction'>,
  times: LockTimes & { readonly idleMs: number },
  questions: Questions,
): HoldRow {
  return ({ id, subject }, work) =>
    database.transaction(async (em) => {
      const idle = String(times.idleMs)
      await em.execute(`select set_config('idle_in_transaction_session_timeout', ?, true)`, [idle])
      const row = await lockRow(em, { id, subject }, times)
      if (row === undefined) return work(undefined)
      return work({
        row,
        async change(change) {
          await questions.end(em, id)
          return changeRow(em, row, change)
        },
        begin: () => questions.begin(id),
        whileAsking: (ask) => questions.whileAsking(id, ask),
      })
    })
}

/**
 * For the embedded database, which has one session: a transaction that waits for a provider would stop everybody.
 * What was read may have changed when it is written; then it is not.
 */
export function createRowGuard(database: Pick<Database, 'run'>): HoldRow {
  return async ({ id, subject }, work) => {
    const row = await database.run((em) => readRow(em, { id, subject }))
    if (row === undefined) return work(undefined)
    const change: HeldRow['change'] = (to) => database.run((em) => changeRow(em, row, to))
    return work({ row, change, begin: async () => true, whileAsking: (ask) => ask() })
  }
}
