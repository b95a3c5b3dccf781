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
   * it may have an answer. Called again, it gives `true` once nothing has been heard of that one for the grace: the
   * process was killed.
   */
  begin(id: string): Promise<boolean>
  /**
   * Does `ask`, which waits for a provider, and says over and over meanwhile that somebody still does: a process that
   * finds the row free, since the lock went with its connection, goes on waiting. Gives what `ask` gives.
   */
  whileAsking<T>(id: string, ask: () => Promise<T>): Promise<T>
  /** With the answer, in its transaction. */
  end(em: SqlEntityManager, id: string): Promise<void>
}

export interface QuestionsOptions {
  readonly database: Pick<Database, 'run'>
  /**
   * How long nothing may be heard of a question before its asker counts as dead; longer than a late write waits
   * between its tries. A question is renewed four times as often.
   */
  readonly graceMs?: number
}

export function createQuestions({ database, graceMs = 5000 }: QuestionsOptions): Questions {
  const self = randomUUID()
  /** Questions of others, and when each was found open first. */
  const open = new Map<string, { readonly asked: string; readonly since: number }>()
  /** Questions of our own, of which the provider thinks. */
  const own = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let renewing = false

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
    async whileAsking(id, ask) {
      own.add(id)
      timer ??= setInterval(renewOwn, graceMs / 4).unref()
      try {
        return await ask()
      } finally {
        own.delete(id)
        if (own.size === 0) {
          clearInterval(timer)
          timer = undefined
        }
      }
    },
    async end(em, id) {
      await em.execute('delete from munjigi.refresh_questions where connection_id = ?', [id])
    },
  }

  function overdue(id: string): string | undefined {
    const known = open.get(id)
    return known !== undefined && performance.now() - known.since >= graceMs ? known.asked : undefined
  }

  /** All at once, and never twice at a time: it takes one connection of the pool, however many wait for providers. */
  async function renewOwn(): Promise<void> {
    if (renewing) return
    renewing = true
    try {
      await database.run((em) => renew(em, self, [...own]))
    } catch {
      // `database` has said what is wrong with it, and the next comes soon.
    } finally {
      renewing = false
    }
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

/** Not those that another has taken over, or is about to strike out: nothing is waited for. */
async function renew(em: SqlEntityManager, asker: string, ids: readonly string[]): Promise<void> {
  await em.execute(
    `update munjigi.refresh_questions set question = ? where connection_id in
      (select connection_id from munjigi.refresh_questions
        where asker = ? and connection_id in (${ids.map(() => '?').join()}) for update skip locked)`,
    [randomUUID(), asker, ...ids],
  )
}
