import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { createVault } from '../src/oauth/vault/vault.ts'
import { createSealer } from '../src/persistence/sealer.ts'
import { inCalm } from './support/calm.ts'
import {
  ownPostgres,
  type PostgresConfig,
  postgresConfig,
  postgresTest,
  sharedPostgres,
  startDatabase,
} from './support/database.ts'
import { atMost } from './support/figures.ts'
import { execute } from './support/postgres.ts'
import { keptLog } from './support/replicas.ts'
import { type Behaviour, createTestProvider, startTokenProvider } from './support/token-provider.ts'
import { until } from './support/until.ts'
import { newKey } from './support/vault.ts'
import { startVaultReplica, type VaultAnswer, type VaultProcessSettings } from './support/vault-replica.ts'

/** How long the provider takes; the acceptance is run with 3000. */
const delayMs = Number(process.env.OAUTH_RACE_DELAY_MS ?? 1000)
const keys = [newKey('race')]
const fresh = sharedPostgres()

/** Processes on one PostgreSQL, and a connection whose access token has expired. */
async function race(
  t: ExecutionContext,
  url: string,
  given: { processes: number; behaviour?: Partial<Behaviour>; settings?: Partial<VaultProcessSettings> },
) {
  const provider = await startTokenProvider(t, { delayMs, ...given.behaviour })
  const providerTimeoutMs = 60_000
  const { keys: _, ...settings } = { keys, databaseUrl: url, providerUrl: provider.url, providerTimeoutMs }
  const patient = { poolSize: 2, statementTimeoutMs: 30_000, connectTimeoutMs: 30_000 }
  const config = postgresConfig(url, patient)
  const database = await startDatabase(t, config)
  const own = createTestProvider(provider.url)
  const vault = createVault({
    ...{ database, shared: true, poolSize: 2, statementTimeoutMs: 30_000, providerTimeoutMs },
    ...{ sealer: createSealer(keys), providers: new Map([[own.name, own]]), refreshAheadMs: 60_000 },
    log: keptLog().log,
  })
  const stored = { subject: randomUUID(), provider: own.name, grant: provider.grant('42', -10) }
  const { id, subject } = await database.transaction((em) => vault.store(em, stored))
  const replicas = await Promise.all(
    Array.from({ length: given.processes }, () =>
      startVaultReplica(t, { ...settings, keys, ...given.settings }),
    ),
  )
  const ask = (at: number, action: 'fresh' | 'refresh' | 'select', times: number) =>
    replicas[at]!.ask({ action, id, subject, times })
  const isHeld = async () =>
    (await execute(url, `select 1 from munjigi.connections where id = '${id}' for update skip locked`))
      .length === 0
  return { provider, replicas, ask, isHeld }
}

/** That a process asks a provider is believed for seconds, unless it says so again: all of them may stand still so long. */
const raceTest: typeof postgresTest = (title, run) => postgresTest(title, inCalm(run))

const distinct = (answers: readonly VaultAnswer[]) => [
  ...new Set(answers.map((answer) => ('token' in answer ? answer.token : answer.code))),
]

raceTest('fifty refreshes at once over two processes: one question, one token for all', async (t) => {
  const { url } = (await fresh(t)) as PostgresConfig
  const { provider, ask } = await race(t, url, { processes: 2 })
  const both = await Promise.all([ask(0, 'refresh', 25), ask(1, 'refresh', 25)])
  t.is(provider.refreshes(), 1)
  t.deepEqual(distinct(both.flat()), [provider.issued[2]!])
  const [next] = await ask(1, 'refresh', 1)
  t.is(provider.refreshes(), 2)
  t.deepEqual(next, { token: provider.issued[4]! })
})

raceTest('fifty who want a fresh token: one question as well, and none after it', async (t) => {
  const { url } = (await fresh(t)) as PostgresConfig
  const { provider, ask } = await race(t, url, { processes: 2 })
  const both = await Promise.all([ask(0, 'fresh', 25), ask(1, 'fresh', 25)])
  t.deepEqual(distinct(both.flat()), [provider.issued[2]!])
  t.deepEqual(distinct(await ask(0, 'fresh', 10)), [provider.issued[2]!])
  t.is(provider.refreshes(), 1)
})

raceTest('a provider slower than a statement may be costs no waiter its connection', async (t) => {
  const { url } = (await fresh(t)) as PostgresConfig
  const { provider, ask } = await race(t, url, {
    processes: 2,
    behaviour: { delayMs: 2500 },
    settings: { database: { statementTimeoutMs: 1000, poolSize: 2 } },
  })
  const both = Promise.all([ask(0, 'refresh', 25), ask(1, 'refresh', 25)])
  await provider.asked()
  // Whatever else a process wants of its database meanwhile, it gets.
  t.deepEqual(distinct((await Promise.all([ask(0, 'select', 10), ask(1, 'select', 10)])).flat()), ['none'])
  t.deepEqual(distinct((await both).flat()), [provider.issued[2]!])
  t.is(provider.refreshes(), 1)
})

raceTest('kill -9 of the process that holds the lock in mid-call: another finishes', async (t) => {
  const { url } = (await fresh(t)) as PostgresConfig
  const { provider, ask, replicas } = await race(t, url, { processes: 2 })
  const asked = provider.asked()
  const lost = t.throwsAsync(ask(0, 'refresh', 25))
  await asked
  const waiting = ask(1, 'refresh', 25)
  await replicas[0]!.kill()
  await lost
  t.deepEqual(distinct(await waiting), [provider.issued[2]!])
  t.is(provider.refreshes(), 2)
  t.deepEqual(distinct(await ask(1, 'fresh', 1)), [provider.issued[2]!])
})

raceTest('PostgreSQL frozen in mid-call: bounded failure, and the rotated token is not lost', async (t) => {
  const server = await ownPostgres(t)
  const { provider, ask } = await race(t, server.url, {
    processes: 2,
    settings: { database: { statementTimeoutMs: 1000, connectTimeoutMs: 1000, poolSize: 4 } },
  })
  const asked = provider.asked()
  const asking = ask(0, 'refresh', 25)
  await asked
  const waiting = ask(1, 'refresh', 25)
  server.freeze()
  const since = performance.now()
  // The provider has rotated meanwhile, and nothing could be written.
  t.deepEqual(distinct(await asking), ['database_unavailable'])
  t.deepEqual(distinct(await waiting), ['database_unavailable'])
  t.deepEqual(distinct(await ask(0, 'fresh', 25)), ['database_unavailable'])
  t.true(performance.now() - since < atMost(delayMs + 10_000))
  t.is(provider.refreshes(), 1)
  server.thaw()
  let answers: readonly VaultAnswer[] = []
  await until(async () => {
    answers = await ask(0, 'fresh', 1)
    return 'token' in answers[0]!
  }, 'a token is served again')
  t.deepEqual(answers, [{ token: provider.issued[2]! }])
  t.deepEqual(await ask(1, 'fresh', 1), [{ token: provider.issued[2]! }])
  t.is(provider.refreshes(), 1)
})

raceTest('a sibling that meets the dead token meanwhile does not end the connection', async (t) => {
  const { url } = (await fresh(t)) as PostgresConfig
  const { provider, ask } = await race(t, url, {
    processes: 2,
    settings: { database: { statementTimeoutMs: 2000, connectTimeoutMs: 2000 } },
  })
  const asked = provider.asked()
  const asking = ask(0, 'refresh', 1)
  await asked
  // As after a failover: the lock is gone, and so is the connection that the result was to be written on.
  await execute(
    url,
    `select pg_terminate_backend(pid) from pg_stat_activity
      where state = 'idle in transaction' and datname = current_database()`,
  )
  await ask(1, 'fresh', 1)
  await asking
  let answers: readonly VaultAnswer[] = []
  await until(async () => {
    answers = await ask(1, 'fresh', 1)
    return 'token' in answers[0]! && distinct(answers)[0] === distinct(await ask(0, 'fresh', 1))[0]
  }, 'both serve the same token')
  t.deepEqual(distinct(answers), [provider.issued[2]!])
  t.deepEqual(distinct(await ask(1, 'refresh', 1)), [provider.issued[4]!])
})

for (const [what, which] of [
  ['the connection that held the row', `state = 'idle in transaction'`],
  ['every connection', `application_name = 'munjigi'`],
]) {
  raceTest(`${what} lost while the provider thinks on: nobody else asks with the old token`, async (t) => {
    const { url } = (await fresh(t)) as PostgresConfig
    const { provider, ask } = await race(t, url, {
      processes: 2,
      // Longer than a question is believed that nobody renews.
      behaviour: { delayMs: 8000 },
      settings: {
        database: { statementTimeoutMs: 2000, connectTimeoutMs: 2000 },
        providerTimeoutMs: 30_000,
      },
    })
    const asked = provider.asked()
    const asking = ask(0, 'refresh', 1)
    await asked
    await execute(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity where ${which} and datname = current_database()`,
    )
    let answers: readonly VaultAnswer[] = []
    await until(async () => {
      answers = await ask(1, 'fresh', 1)
      return distinct(answers)[0] !== 'database_unavailable'
    }, 'the other one serves a token')
    t.deepEqual(distinct(answers), [provider.issued[2]!])
    await asking
    t.deepEqual(distinct(await ask(0, 'fresh', 1)), [provider.issued[2]!])
    t.is(provider.refreshes(), 1)
    provider.behaviour.delayMs = 0
    t.deepEqual(distinct(await ask(1, 'refresh', 1)), [provider.issued[4]!])
  })
}
