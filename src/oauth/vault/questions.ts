import { randomUUID } from 'node:crypto'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Database } from '../../persistence/database.ts'

/**
 * Who asks a provider for new tokens, written down before it is asked and struck out with the answer. A row's lock
 * goes with its connection: where the database was away for a moment, another process may hold it while the answer,
 * which is the only good token by then, still waits to be written. To ask with the old one would be taken for theft
 * by a provider that rotates (RFC 9700 §4.14.2), and end the grant.
 */
export interface Questions {
  /**
   * To be called by whoever has the row. Gives `false` where another process has asked and nothing has come of it:
   * it may have an answer. Called again, it gives `true` once that has had its time: the process was killed.
   */
  begin(id: string): Promise<boolean>
  /** With the answer, in its transaction. */
  end(em: SqlEntityManager, id: string): Promise<void>
}

export interface QuestionsOptions {
  readonly database: Pick<Database, 'run'>
  /** How long an answer may wait once the row can be had; longer than a late write waits between its tries. */
  readonly graceMs?: number
}

export function createQuestions({ database, graceMs = 5000 }: QuestionsOptions): Questions {
  const self = randomUUID()
  /** Questions of others, and when each was found open first. */
  const open = new Map<string, { readonly asked: string; readonly since: number }>()

  return {
    async begin(id) {
      // Not in the transaction that holds the row: it has to be there when that is lost.
      const asked = await database.run((em) => ask(em, id, self, overdue(id)))
      if (asked === undefined) {
        open.delete(id)
        return true
      }
      if (open.get(id)?.asked !== asked) {
        forgetOld()
        open.set(id, { asked, since: performance.now() })
      }
      return false
    },
    async end(em, id) {
      await em.execute('delete from munjigi.refresh_questions where connection_id = ?', [id])
    },
  }

  function overdue(id: string): string | undefined {
    const known = open.get(id)
    return known !== undefined && performance.now() - known.since >= graceMs ? known.asked : undefined
  }

  /** Of connections that nobody has asked for since. */
  function forgetOld(): void {
    for (const [id, { since }] of open) if (performance.now() - since > graceMs * 10) open.delete(id)
  }
}

/**
 * @param overdue the question of another's that need not be waited for any longer
 * @returns the question that stands in the way; undefined where this one has been written down
 */
async function ask(
  em: SqlEntityManager,
  id: string,
  asker: string,
  overdue: string | undefined,
): Promise<string | undefined> {
  const [written] = await em.execute<{ asker: string }[]>(
    `insert into munjigi.refresh_questions as open (connection_id, asker, question) values (?, ?, ?)
    on conflict (connection_id) do update set asker = excluded.asker, question = excluded.question
      where open.asker = excluded.asker or open.question = ?
    returning open.asker`,
    [id, asker, randomUUID(), overdue ?? null],
  )
  if (written !== undefined) return undefined
  const [standing] = await em.execute<{ question: string }[]>(
    'select question from munjigi.refresh_questions where connection_id = ?',
    [id],
  )
  return standing?.question ?? ''
}
