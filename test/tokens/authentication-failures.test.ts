import test, { type ExecutionContext } from 'ava'
import type { RateConfig } from '../../src/config/config.ts'
import { GatewayError } from '../../src/errors.ts'
import type { Database } from '../../src/persistence/database.ts'
import { createAuthenticationFailures } from '../../src/tokens/authentication-failures.ts'
import type { AuthenticationFailures } from '../../src/tokens/limits.ts'
import { inCalm } from '../support/calm.ts'
import {
  ownPostgres,
  postgresConfig,
  postgresTest,
  sharedPostgres,
  startDatabase,
} from '../support/database.ts'
import { recordedLog } from '../support/hand-source.ts'
import { execute } from '../support/postgres.ts'
import { until } from '../support/until.ts'

const stranger = '203.0.113.66'
const home = '198.51.100.1'
const rate: RateConfig = { points: 3, seconds: 60 }

function alone(given: RateConfig = rate) {
  const log = recordedLog()
  return { failures: createAuthenticationFailures({ rate: given, schema: 'munjigi', log }), log }
}

/** Seconds that the answer says to wait; undefined where it is another one. */
async function waitOf(answer: Promise<void>) {
  try {
    await answer
    return undefined
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'too_many_requests') {
      return Number(error.headers['Retry-After'])
    }
    throw error
  }
}

/** Seconds for which an address is blocked for a client; undefined where it is not. */
const blockOf = (failures: AuthenticationFailures, address: string, clientId: string | undefined) =>
  waitOf(failures.blocked(address, clientId))

async function fail(failures: AuthenticationFailures, address: string, clientId?: string, times = 1) {
  for (let i = 0; i < times; i++) await waitOf(failures.failed(address, clientId))
}

test('an address is blocked for a client after as many failures there as the rate says', async (t) => {
  const { failures } = alone()
  for (let i = 0; i < 3; i++) {
    t.is(await blockOf(failures, stranger, 'auth'), undefined)
    await failures.failed(stranger, 'auth')
  }
  const seconds = await blockOf(failures, stranger, 'auth')
  t.true(seconds! > 0 && seconds! <= 60)
})

test('an address has as many failures in all, whatever it names, and hears 429 for each further one', async (t) => {
  const { failures, log } = alone()
  for (const id of ['auth', 'shop', undefined]) await failures.failed(stranger, id)
  for (const id of ['auth', undefined]) {
    const seconds = await waitOf(failures.failed(stranger, id))
    t.true(seconds! > 0 && seconds! <= 60)
  }
  t.deepEqual(
    log.lines.map(({ message, fields }) => [message, fields.clientAddress]),
    [['address refused for too many failed authentications', stranger]],
  )
})

test('a client gets through from an address whose failures were at others', async (t) => {
  const { failures } = alone()
  await fail(failures, stranger, undefined, 100)
  await fail(failures, stranger, 'shop', 100)
  t.is(await blockOf(failures, stranger, 'auth'), undefined)
  t.true((await blockOf(failures, stranger, 'shop'))! > 0)
})

test('an address that has had its failures has no more guesses at a further client than at the first', async (t) => {
  const { failures } = alone()
  await fail(failures, stranger, undefined, 3)
  for (let i = 0; i < 3; i++) {
    t.is(await blockOf(failures, stranger, 'auth'), undefined)
    t.true((await waitOf(failures.failed(stranger, 'auth')))! > 0)
  }
  t.true((await blockOf(failures, stranger, 'auth'))! > 0)
})

test('a stranger does not lock a client out at its own address', async (t) => {
  const { failures } = alone()
  await fail(failures, stranger, 'auth', 100)
  t.true((await blockOf(failures, stranger, 'auth'))! > 0)
  t.is(await blockOf(failures, home, 'auth'), undefined)
})

test('many strangers neither; but then each of them has one guess', async (t) => {
  const { failures } = alone()
  for (let i = 0; i < 30; i++) await failures.failed(`203.0.113.${i}`, 'auth')
  t.is(await blockOf(failures, home, 'auth'), undefined)
  const another = '192.0.2.9'
  t.is(await blockOf(failures, another, 'auth'), undefined)
  await failures.failed(another, 'auth')
  t.true((await blockOf(failures, another, 'auth'))! > 0)
  t.is(await blockOf(failures, another, 'another client'), undefined)
})

test('addresses of one IPv6 network are one stranger', async (t) => {
  const { failures } = alone()
  for (let i = 1; i <= 3; i++) await failures.failed(`2001:db8::${i}`, 'auth')
  t.true((await blockOf(failures, '2001:db8::ffff', 'auth'))! > 0)
  t.is(await blockOf(failures, '2001:db8:1::1', 'auth'), undefined)
})

test('guesses that come all at once are counted before the next is let in', async (t) => {
  const { failures } = alone()
  let guesses = 0
  async function guess() {
    await failures.blocked(stranger, 'auth')
    guesses += 1
    await failures.failed(stranger, 'auth')
  }
  // Each in a turn of its own, as requests come.
  const turn = () => new Promise<void>((resolve) => setImmediate(() => guess().then(resolve, resolve)))
  await Promise.all(Array.from({ length: 50 }, turn))
  t.is(guesses, 3)
})

test(
  'once the window is over the address may try again',
  inCalm(async (t) => {
    const { failures } = alone({ points: 1, seconds: 1 })
    await failures.failed(stranger, 'auth')
    t.is(await blockOf(failures, stranger, 'auth'), 1)
    await until(async () => (await blockOf(failures, stranger, 'auth')) === undefined, 'may try again')
  }),
)

const freshPostgres = sharedPostgres()

/** Replicas on one database. */
async function replicas(t: ExecutionContext, count: number, given: RateConfig = rate) {
  const config = await freshPostgres(t)
  const log = recordedLog()
  const all: AuthenticationFailures[] = []
  for (let i = 0; i < count; i++) {
    const database = await startDatabase(t, config)
    all.push(createAuthenticationFailures({ rate: given, database, schema: 'munjigi', log }))
  }
  const rows = () => execute(config.url, 'select key, points, expire from munjigi.rate_limits order by key')
  return { all, rows, log, url: config.url }
}

postgresTest('replicas share failures: with its first one at B, what it did at A counts', async (t) => {
  const { all, rows } = await replicas(t, 2)
  const [a, b] = all as [AuthenticationFailures, AuthenticationFailures]
  await fail(a, stranger, 'auth', 3)
  await until(async () => (await rows()).filter(({ points }) => points === 3).length === 3, 'A has shared')
  t.is(await blockOf(b, stranger, 'auth'), undefined)
  await b.failed(stranger, 'auth')
  await until(async () => (await blockOf(b, stranger, 'auth')) !== undefined, 'B has heard')
  t.is(await blockOf(b, home, 'auth'), undefined)
})

postgresTest('nothing that a caller sent is in the table, however long or strange', async (t) => {
  const { all, rows, log } = await replicas(t, 1)
  await all[0]!.failed(stranger, `secret\0${'x'.repeat(100_000)}`)
  await until(async () => (await rows()).length === 3, 'it is shared')
  const [ofAddress, ofClient, ofPair] = await rows()
  t.is(ofAddress!.key, `failures:address ${stranger}`)
  t.regex(String(ofClient!.key), /^failures:client [\w-]{43}$/)
  t.regex(String(ofPair!.key), /^failures:pair [\w-]{43} 203\.0\.113\.66$/)
  t.true(Number(ofAddress!.expire) > Date.now())
  t.deepEqual(log.lines, [])
})

postgresTest('rows whose window is over are deleted', async (t) => {
  const { all, rows, url } = await replicas(t, 1)
  await execute(url, `insert into munjigi.rate_limits values ('failures:address 192.0.2.1', 9, 1)`)
  await all[0]!.failed(stranger, undefined)
  await until(async () => !JSON.stringify(await rows()).includes('192.0.2.1'), 'the old row is gone')
  t.is((await rows()).length, 1)
})

postgresTest('a count whose window is over begins anew', async (t) => {
  const { all, rows, url } = await replicas(t, 1)
  await execute(url, `insert into munjigi.rate_limits values ('failures:address ${stranger}', 9, 1)`)
  await all[0]!.failed(stranger, undefined)
  await until(async () => (await rows())[0]?.points === 1, 'it is 1')
  t.is(await waitOf(all[0]!.failed(stranger, undefined)), undefined)
})

postgresTest(
  'with the database frozen nothing waits for it, each replica counts on, and sharing comes back',
  async (t) => {
    const server = await ownPostgres(t)
    const config = postgresConfig(await server.createDatabase(), {
      statementTimeoutMs: 3000,
      connectTimeoutMs: 3000,
    })
    const log = recordedLog()
    const database: Database = await startDatabase(t, config)
    const failures = createAuthenticationFailures({ rate, database, schema: 'munjigi', log })
    server.freeze()
    await fail(failures, stranger, 'auth', 3)
    t.true((await blockOf(failures, stranger, 'auth'))! > 0)
    const told = 'failed authentications are not shared with other replicas for now'
    const isTold = () => log.lines.some(({ message }) => message === told)
    t.false(isTold(), 'nothing waits until the database is given up')
    await until(isTold, 'the operator is told')
    server.thaw()
    await until(async () => {
      await failures.failed(home, undefined)
      return (await execute(config.url, 'select from munjigi.rate_limits')).length > 0
    }, 'it is shared again')
  },
)
