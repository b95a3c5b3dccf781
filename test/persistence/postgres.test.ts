import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import type { LogFields } from '../../src/observability/log.ts'
import type { Database } from '../../src/persistence/database.ts'
import { migrations } from '../../src/persistence/migrations/index.ts'
import { DenialEntity } from '../../src/tokens/entities.ts'
import {
  createTestDatabase,
  ownPostgres,
  type PostgresConfig,
  postgresConfig,
  postgresTest,
  sharedPostgres,
  startDatabase,
} from '../support/database.ts'
import { atMost } from '../support/figures.ts'
import { execute } from '../support/postgres.ts'
import { until } from '../support/until.ts'

const fresh = sharedPostgres()

const select = (database: Database) => database.run((em) => em.execute('select 1 as one'))

/** Milliseconds until it answers again, asked all the time. */
async function recovery(database: Database): Promise<number> {
  const since = performance.now()
  await until(() => select(database).then(Boolean, () => false), 'the database answers again')
  return performance.now() - since
}

/** What came of many statements at once: how long the slowest took, and each outcome's code. */
async function load(database: Database, count: number) {
  const since = performance.now()
  const outcomes = await Promise.all(
    Array.from({ length: count }, () =>
      select(database).then(
        () => 'answered',
        (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
      ),
    ),
  )
  return { tookMs: performance.now() - since, outcomes: [...new Set(outcomes)] }
}

function createLines() {
  const lines: string[] = []
  const add = (fields: LogFields, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { lines, log: { debug: add, info: add, warn: add, error: add } }
}

postgresTest('ten replicas that start together on an empty database all become ready', async (t) => {
  const config = await fresh(t)
  const { lines, log } = createLines()
  const replicas = await Promise.all(Array.from({ length: 10 }, () => startDatabase(t, config, { log })))
  t.true(replicas.every(({ ready }) => ready()))
  t.deepEqual(lines, [])
  const executed = await execute(
    config.kind === 'postgres' ? config.url : '',
    'select name from munjigi.migrations',
  )
  t.deepEqual(
    executed,
    migrations.map(({ name }) => ({ name })),
  )
})

postgresTest('a role that may not create schemas starts where the schema is there', async (t) => {
  const { url } = (await fresh(t)) as PostgresConfig
  const role = `role_${process.hrtime.bigint()}`
  await execute(
    url,
    `create role ${role} login password 'plain'; create schema munjigi authorization ${role}`,
  )
  t.teardown(() => execute(url, `drop owned by ${role} cascade; drop role ${role}`).then(() => {}))
  const limited = new URL(url)
  limited.username = role
  limited.password = 'plain'
  const database = await startDatabase(t, postgresConfig(limited.href))
  t.true(database.ready())
})

postgresTest('away at the start it is tried again, said once, and ready once it is there', async (t) => {
  const server = await ownPostgres(t)
  await server.kill()
  const { lines, log } = createLines()
  const database = createTestDatabase(t, postgresConfig(server.url), { log })
  const starting = database.start()
  await until(() => database.state() === 'failing', 'a failed attempt')
  await delay(1500)
  t.false(database.ready())
  await t.throwsAsync(select(database), { message: 'Database unavailable' })
  await server.start()
  await starting
  t.is(database.state(), 'live')
  t.is(lines.filter((line) => line.includes('ECONNREFUSED')).length, 1)
  t.regex(lines.at(-1) ?? '', /the database is back/)
})

postgresTest('frozen under load every call ends in time, and all is well 5 s after it thaws', async (t) => {
  const server = await ownPostgres(t)
  const config = postgresConfig(server.url, { statementTimeoutMs: 1000, connectTimeoutMs: 500 })
  const database = await startDatabase(t, config)
  await load(database, 20)
  server.freeze()
  const frozen = await load(database, 50)
  t.deepEqual(frozen.outcomes, ['database_unavailable'])
  t.true(frozen.tookMs < atMost(2500), `${frozen.tookMs} ms`)
  t.is(database.state(), 'failing')
  // New connections are not answered either.
  const later = await load(database, 50)
  t.deepEqual(later.outcomes, ['database_unavailable'])
  t.true(later.tookMs < atMost(1500), `${later.tookMs} ms`)
  server.thaw()
  const tookMs = await recovery(database)
  t.log(`recovered in ${Math.round(tookMs)} ms`)
  t.true(tookMs < atMost(5000))
  t.deepEqual((await load(database, 50)).outcomes, ['answered'])
  t.is(database.state(), 'live')
})

postgresTest('frozen in the middle of transactions, they end in time and leave the pool whole', async (t) => {
  const server = await ownPostgres(t)
  const config = postgresConfig(server.url, { statementTimeoutMs: 500, poolSize: 2 })
  const database = await startDatabase(t, config)
  let inserted = 0
  const both = Promise.withResolvers<void>()
  const transactions = ['jti:1', 'jti:2'].map((key) =>
    t.throwsAsync<GatewayError>(
      database.transaction(async (em) => {
        await em.insert(DenialEntity, { key, expiresAt: new Date() } as never)
        if (++inserted === 2) {
          server.freeze()
          both.resolve()
        }
        await both.promise
        await em.execute('select 1')
      }),
    ),
  )
  await both.promise
  const since = performance.now()
  for (const error of await Promise.all(transactions)) t.is(error?.code, 'database_unavailable')
  t.true(performance.now() - since < atMost(2000))
  server.thaw()
  await recovery(database)
  t.is(await database.run((em) => em.count(DenialEntity)), 0)
  t.deepEqual((await load(database, 20)).outcomes, ['answered'])
})

postgresTest('killed and started again, it answers within 5 s', async (t) => {
  const server = await ownPostgres(t)
  const database = await startDatabase(t, postgresConfig(server.url))
  await load(database, 20)
  await server.kill()
  t.deepEqual((await load(database, 20)).outcomes, ['database_unavailable'])
  await server.start()
  t.true((await recovery(database)) < atMost(5000))
})

postgresTest('a statement that takes too long is given up by the server', async (t) => {
  const database = await startDatabase(t, { ...(await fresh(t)), statementTimeoutMs: 200 } as PostgresConfig)
  const since = performance.now()
  const error = await t.throwsAsync<GatewayError>(database.run((em) => em.execute('select pg_sleep(600)')))
  t.is(error?.code, 'database_unavailable')
  t.true(performance.now() - since < atMost(1000))
  const left = await database.run((em) =>
    em.execute(`select 1 from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()
      and state = 'active' and datname = current_database()`),
  )
  t.is(left.length, 0)
})

postgresTest('with every connection taken, a call waits no longer than the connect timeout', async (t) => {
  const config = { ...((await fresh(t)) as PostgresConfig), poolSize: 2, connectTimeoutMs: 300 }
  const database = await startDatabase(t, config)
  const gate = Promise.withResolvers<void>()
  let held = 0
  const hold = () => {
    held++
    return gate.promise
  }
  const holding = [1, 2].map(() => database.transaction(hold))
  await until(() => held === 2, 'both connections are taken')
  const waiting = await load(database, 20)
  t.deepEqual(waiting.outcomes, ['database_unavailable'])
  t.true(waiting.tookMs < atMost(1000))
  gate.resolve()
  await Promise.all(holding)
  t.deepEqual((await load(database, 20)).outcomes, ['answered'])
})

postgresTest('it opens no more connections than the pool has, and says whose they are', async (t) => {
  const config = { ...((await fresh(t)) as PostgresConfig), poolSize: 3 }
  const database = await startDatabase(t, config)
  await load(database, 50)
  const [found] = await execute(
    config.url,
    `select count(*)::int as count from pg_stat_activity
     where application_name = 'munjigi' and datname = current_database()`,
  )
  t.is(found?.count, 3)
})

postgresTest('after a stop no connection is left, also where the server is frozen', async (t) => {
  const server = await ownPostgres(t)
  const database = await startDatabase(t, postgresConfig(server.url))
  database.follow({ channel: 'changes', intervalMs: 60_000, read: () => select(database).then(() => {}) })
  await load(database, 20)
  server.freeze()
  const since = performance.now()
  await database.stop()
  t.true(performance.now() - since < atMost(3000))
  server.thaw()
  const connections = `select 1 from pg_stat_activity where application_name = 'munjigi'`
  await until(async () => (await execute(server.url, connections)).length === 0, 'no connection is left')
  t.pass()
})

async function faultsOf(t: ExecutionContext, url: string, lines: readonly string[], log: object) {
  const database = createTestDatabase(t, postgresConfig(url, { connectTimeoutMs: 300 }), {
    log: log as never,
  })
  void database.start()
  await until(() => lines.length > 0, 'a warning')
  const error = await t.throwsAsync(select(database))
  await database.stop()
  return `${inspect(error, { depth: 20, showHidden: true })}\n${lines.join('\n')}`
}

for (const [name, change] of [
  ['a wrong password', { password: 'hunter2-wrong' }],
  ['no such database', { pathname: '/no-such-database' }],
  ['no such host', { hostname: 'no-such-host.invalid' }],
  ['nobody listening', { port: '1' }],
] as const) {
  postgresTest(`${name}: the password is in no error and no log line`, async (t) => {
    const { lines, log } = createLines()
    const url = new URL(((await fresh(t)) as PostgresConfig).url)
    Object.assign(url, change)
    const text = await faultsOf(t, url.href, lines, log)
    t.true(text.includes('database_unavailable'))
    t.false(text.includes(decodeURIComponent(url.password)))
  })
}
