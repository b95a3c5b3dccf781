import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { createQuestions, type QuestionsOptions } from '../../src/oauth/vault/questions.ts'
import type { Database } from '../../src/persistence/database.ts'
import { postgresTest, sharedPostgres, startDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'

const fresh = sharedPostgres()
/** Renews every 10 ms. */
const graceMs = 40

async function start(t: ExecutionContext) {
  const patient = { statementTimeoutMs: 30_000, connectTimeoutMs: 30_000 }
  const database = await startDatabase(t, { ...(await fresh(t)), ...patient })
  const standing = async (id: string) => {
    const [row] = await database.run((em) =>
      em.execute<{ question: string }[]>(
        'select question from munjigi.refresh_questions where connection_id = ?',
        [id],
      ),
    )
    return row?.question
  }
  const renewals = async (id: string, times: number) => {
    for (let n = 0; n < times; n++) {
      const before = await standing(id)
      await until(async () => (await standing(id)) !== before, 'the question is renewed')
    }
  }
  /** A process that asks about a connection until it is told to leave off. */
  async function asking(id = randomUUID(), given: Partial<QuestionsOptions> = {}) {
    const questions = createQuestions({ database, graceMs, ...given })
    t.true(await questions.begin(id))
    const answer = Promise.withResolvers<string>()
    t.teardown(() => answer.resolve('over'))
    const asked = questions.whileAsking(id, () => answer.promise)
    return { questions, id, answer, asked }
  }
  return { database, standing, renewals, asking }
}

/** The same database, and how often it was asked. */
function counted(database: Database, before: (call: number) => unknown = () => {}) {
  const calls = { begun: 0, going: 0, most: 0 }
  const run: Database['run'] = async (work) => {
    calls.begun++
    calls.most = Math.max(calls.most, ++calls.going)
    try {
      await before(calls.begun)
      return await database.run(work)
    } finally {
      calls.going--
    }
  }
  return { calls, database: { run } }
}

postgresTest(
  'nobody takes over a question whose provider thinks for long, but one that is left',
  async (t) => {
    const { database, renewals, asking } = await start(t)
    const { id, answer, asked } = await asking()
    // Waits for nothing but one look that finds it unchanged.
    const other = createQuestions({ database, graceMs: 0 })
    for (let look = 0; look < 5; look++) {
      t.false(await other.begin(id))
      await renewals(id, 1)
    }
    answer.resolve('answered')
    t.is(await asked, 'answered')
    await until(() => other.begin(id), 'the other takes it over')
  },
)

postgresTest('what has been taken over is not renewed by who asked before', async (t) => {
  const { database, standing, renewals, asking } = await start(t)
  const one = await asking()
  const second = await asking()
  const taken = randomUUID()
  await database.run((em) =>
    em.execute('update munjigi.refresh_questions set asker = ?, question = ? where connection_id = ?', [
      ...[randomUUID(), taken, one.id],
    ]),
  )
  await renewals(second.id, 3)
  t.is(await standing(one.id), taken)
})

postgresTest('renewing ends with the asking, also where that throws', async (t) => {
  const { database, standing, renewals, asking } = await start(t)
  const { calls, ...slot } = counted(database)
  const { id, answer, asked } = await asking(undefined, slot)
  await renewals(id, 2)
  answer.reject(new Error('no answer'))
  await t.throwsAsync(asked, { message: 'no answer' })
  await until(() => calls.going === 0, 'what was under way has ended')
  const [begun, left] = [calls.begun, await standing(id)]
  // Another process does it so often meanwhile.
  await renewals((await asking()).id, 5)
  t.is(calls.begun, begun)
  t.is(await standing(id), left)
})

postgresTest('of two that wait, who has an answer is not renewed any more and the other is', async (t) => {
  const { standing, renewals, asking } = await start(t)
  const { questions, id, answer, asked } = await asking()
  const second = randomUUID()
  await questions.begin(second)
  const waiting = Promise.withResolvers<void>()
  const both = questions.whileAsking(second, () => waiting.promise)
  await renewals(second, 1)
  await renewals(id, 1)
  answer.resolve('answered')
  await asked
  // The one that was under way.
  await renewals(second, 1)
  const left = await standing(id)
  await renewals(second, 3)
  t.is(await standing(id), left)
  waiting.resolve()
  await both
})

postgresTest('a renewal waits for no row that is locked', async (t) => {
  const { database, standing, renewals, asking } = await start(t)
  const { questions, id } = await asking()
  const second = randomUUID()
  await questions.begin(second)
  const waiting = Promise.withResolvers<void>()
  const both = questions.whileAsking(second, () => waiting.promise)
  await database.transaction(async (em) => {
    await em.execute('select 1 from munjigi.refresh_questions where connection_id = ? for update', [id])
    const before = await standing(id)
    await renewals(second, 3)
    t.is(await standing(id), before)
  })
  await renewals(id, 1)
  waiting.resolve()
  await both
})

postgresTest('a database that takes its time gets no second renewal meanwhile', async (t) => {
  const { database, renewals, asking } = await start(t)
  const gate = Promise.withResolvers<void>()
  t.teardown(gate.resolve)
  // The first call is the question.
  const { calls, ...slot } = counted(database, (call) => (call === 1 ? undefined : gate.promise))
  const one = await asking(undefined, slot)
  await until(() => calls.going === 1, 'a renewal is under way')
  await renewals((await asking()).id, 5)
  t.is(calls.begun, 2)
  gate.resolve()
  await renewals(one.id, 2)
  t.is(calls.most, 1)
})

postgresTest('a renewal that fails does the asking no harm, and the next is tried', async (t) => {
  const { database, renewals, asking } = await start(t)
  const { calls, ...slot } = counted(database, (call) => {
    if (call > 1 && call < 5) throw new Error('the database is away')
  })
  const { id, answer, asked } = await asking(undefined, slot)
  await renewals(id, 1)
  t.true(calls.begun >= 5)
  answer.resolve('answered')
  t.is(await asked, 'answered')
})
