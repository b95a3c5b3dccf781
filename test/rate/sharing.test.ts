import test, { type ExecutionContext } from 'ava'
import type { RateLimit } from '../../src/discovery/rate-settings.ts'
import { GatewayError } from '../../src/errors.ts'
import type { Database } from '../../src/persistence/database.ts'
import { createKeyCount, type KeyCount } from '../../src/rate/key-count.ts'
import { createRateLimits } from '../../src/rate/rate-limits.ts'
import { createSharing } from '../../src/rate/sharing.ts'
import { inCalm } from '../support/calm.ts'
import {
  ownPostgres,
  postgresConfig,
  postgresTest,
  sharedPostgres,
  startDatabase,
} from '../support/database.ts'
import { passOf } from '../support/pass.ts'
import { execute } from '../support/postgres.ts'
import { keptLog } from '../support/replicas.ts'
import { until } from '../support/until.ts'

const freshPostgres = sharedPostgres()

const perHour = (requests: number): RateLimit => ({ requests, seconds: 3600, per: 'user' })

interface Replica {
  /** Whether it is let through. */
  ask(subject?: string): boolean
  /** The requests that are left, as a reply says; one more is counted. */
  left(subject?: string): number
  /** Everything has been told and heard. */
  settled(): Promise<void>
  readonly lagMs: () => number
  stop(): Promise<void>
}

function replica(
  database: Pick<Database, 'run'>,
  rate: RateLimit,
  given: { log?: ReturnType<typeof keptLog>['log']; now?: () => number } = {},
): Replica {
  const { log = keptLog().log, now = () => performance.now() } = given
  const rates = createRateLimits({ database, schema: 'munjigi', log, now })
  const route = rates.of({ prefix: '/api/house', rate: [rate] })!
  rates.retain([{ prefix: '/api/house', rate: [rate] }])
  const lagMs = () => rates.status().lagMs ?? 0
  const enter = (subject: string) => route.enter('192.0.2.1', passOf(subject))
  return {
    ask(subject = 'ada') {
      try {
        enter(subject)
        return true
      } catch {
        return false
      }
    },
    left: (subject = 'ada') => Number(/;r=(\d+)/.exec(enter(subject))?.[1]),
    settled: () => until(() => lagMs() === 0, 'all is shared'),
    lagMs,
    stop: rates.stop,
  }
}

async function replicas(t: ExecutionContext, count: number, rate: RateLimit): Promise<readonly Replica[]> {
  const config = await freshPostgres(t)
  const made: Replica[] = []
  for (let i = 0; i < count; i++) {
    const database = await startDatabase(t, { ...config, poolSize: 2 })
    // As far apart as the clocks of processes that were started at different times.
    const now = () => performance.now() + i * 1_000_000
    made.push(replica(database, rate, { now }))
  }
  t.teardown(() => Promise.all(made.map(({ stop }) => stop())))
  return made
}

const settle = (all: readonly Replica[]) => Promise.all(all.map((one) => one.settled()))

postgresTest('a user has one limit at all replicas', async (t) => {
  const [one, other] = (await replicas(t, 2, perHour(10))) as [Replica, Replica]
  for (let i = 0; i < 6; i++) t.true(one.ask())
  await one.settled()
  t.is(other.left(), 9, 'nothing has been heard')
  await other.settled()
  t.is(other.left(), 2)
  t.is(other.left('bob'), 9)
  for (let i = 0; i < 2; i++) t.true(other.ask())
  t.false(other.ask())
  await other.settled()
  t.true(one.ask(), 'it has not heard of those yet')
  await one.settled()
  t.false(one.ask())
})

for (const [name, demands] of [
  ['evenly', [5, 5, 5, 5]],
  ['unevenly', [14, 4, 1, 1]],
] as const) {
  postgresTest(
    `of a flood that comes ${name} to four replicas the limit is let through, and what none had heard of`,
    async (t) => {
      const all = await replicas(t, 4, perHour(200))
      let allowed = 0
      for (let round = 0; round < 30; round++) {
        for (const [i, demand] of demands.entries()) {
          for (let k = 0; k < demand; k++) if (all[i]!.ask()) allowed += 1
        }
        await settle(all)
      }
      t.true(allowed >= 200, `${allowed}`)
      // By then each has heard of all rounds but this one and perhaps the one before.
      t.true(allowed <= 200 + 2 * 20, `${allowed}`)
    },
  )
}

postgresTest(
  'what another replica let through leaves the window when its time has come',
  inCalm(async (t) => {
    const [one, other] = (await replicas(t, 2, { requests: 4, seconds: 3, per: 'user' })) as [
      Replica,
      Replica,
    ]
    const askedAt = performance.now()
    for (let i = 0; i < 4; i++) one.ask()
    await one.settled()
    other.ask()
    await other.settled()
    await until(() => other.ask(), 'it is let through')
    const after = performance.now() - askedAt
    t.true(after > 1500, `${after} ms`)
  }),
)

postgresTest('a replica that is started anew knows what it let through before', async (t) => {
  const config = await freshPostgres(t)
  const database = await startDatabase(t, config)
  const before = replica(database, perHour(3))
  for (let i = 0; i < 3; i++) t.true(before.ask())
  await before.stop()
  const after = replica(database, perHour(3))
  t.true(after.ask())
  await after.settled()
  t.false(after.ask())
  await after.stop()
})

postgresTest('what is stored names nobody, and goes when its time is over', async (t) => {
  const config = await freshPostgres(t)
  const database = await startDatabase(t, config)
  await execute(config.url, `insert into munjigi.rate_counts values ('old', 'gone', '', 1)`)
  const one = replica(database, perHour(3))
  one.ask('ada@example.com')
  await one.settled()
  const rows = await execute(config.url, 'select * from munjigi.rate_counts')
  t.is(rows.length, 1)
  t.false(JSON.stringify(rows).includes('example.com'))
  await one.stop()
})

postgresTest('a server that has lost everything is told again what each replica let through', async (t) => {
  const server = await ownPostgres(t)
  const config = postgresConfig(await server.createDatabase(), { poolSize: 2 })
  const databases = [await startDatabase(t, config), await startDatabase(t, config)] as const
  const [one, other] = [replica(databases[0], perHour(3)), replica(databases[1], perHour(3))]
  t.teardown(() => Promise.all([one.stop(), other.stop()]))
  for (let i = 0; i < 3; i++) t.true(one.ask())
  await one.settled()
  await server.kill()
  await server.start()
  one.ask('somebody else')
  await one.settled()
  t.true(other.ask())
  await other.settled()
  t.false(other.ask())
})

postgresTest(
  'without its database each replica goes on by itself at once, and is in step again afterwards',
  async (t) => {
    const server = await ownPostgres(t)
    const config = postgresConfig(await server.createDatabase(), {
      statementTimeoutMs: 300,
      connectTimeoutMs: 300,
      poolSize: 2,
    })
    const logs = [keptLog(), keptLog()] as const
    const made: Replica[] = []
    for (const { log } of logs) made.push(replica(await startDatabase(t, config), perHour(10), { log }))
    const [one, other] = made as [Replica, Replica]
    t.teardown(() => Promise.all(made.map(({ stop }) => stop())))
    t.true(one.ask())
    await one.settled()
    t.true(other.ask())
    await other.settled()

    for (const [begin, end] of [
      [server.freeze, server.thaw],
      [server.kill, server.start],
    ] as const) {
      await begin()
      t.true(one.ask())
      t.true(other.ask())
      await until(() => logs.every(({ entries }) => entries.length > 0), 'it is told')
      t.true(one.ask())
      t.true(one.lagMs() > 0)
      await end()
      await settle(made)
      for (const { entries } of logs) {
        t.deepEqual(
          entries.map(({ message }) => message),
          ['rate limits are not shared with other replicas for now'],
        )
        entries.length = 0
      }
    }
    // 8 have been let through by now, by each some.
    t.true(one.ask())
    await one.settled()
    t.true(other.ask())
    await other.settled()
    t.false(other.ask())
    one.ask()
    await one.settled()
    t.false(one.ask())
  },
)

/** A database that can be away, for as long as it is said. */
function gated(database: Pick<Database, 'run'>) {
  const gate = { isAway: false, statements: 0 }
  const run: Database['run'] = async (work) => {
    gate.statements += 1
    if (gate.isAway) throw new GatewayError('database_unavailable')
    return database.run(work)
  }
  return { gate, database: { run } }
}

postgresTest(
  'who is forgotten while the database is away, and asks again, is shared like others',
  async (t) => {
    const config = await freshPostgres(t)
    const behind = await startDatabase(t, config)
    const { gate, database } = gated(behind)
    let aheadMs = 0
    const rate: RateLimit = { requests: 4, seconds: 60, per: 'user' }
    const one = replica(database, rate, { now: () => performance.now() + aheadMs })
    const other = replica(behind, rate)
    t.teardown(() => Promise.all([one.stop(), other.stop()]))
    gate.isAway = true
    t.true(one.ask())
    await until(() => gate.statements > 0, 'it was tried')
    // Her window passes, newcomers have her forgotten, and she comes again: two counts of one user wait.
    aheadMs = 61_000
    for (const newcomer of ['bob', 'eve', 'kim']) one.ask(newcomer)
    for (let i = 0; i < 4; i++) t.true(one.ask())
    gate.isAway = false
    await one.settled()
    t.true(other.ask())
    await other.settled()
    t.false(other.ask())
  },
)

test('what waits while the database is away has a bound, and whoever asks is told all the same later', async (t) => {
  const { gate, database } = gated({ run: () => Promise.reject(new Error('not reached')) })
  gate.isAway = true
  const { log } = keptLog()
  const asked: KeyCount[] = []
  const sharing = createSharing({ database, schema: 'munjigi', all: () => asked, log, now: () => 0 })
  for (let i = 0; i < 60_000; i++) {
    const count = createKeyCount(`user ${i}`, 60_000)
    sharing.share(count, { key: 'key', seconds: 60 }, 0)
    asked.push(count)
  }
  t.is(asked.filter(({ awaitsSharing }) => awaitsSharing).length, 50_000)
  t.true(
    asked.every(({ digest }) => digest !== undefined),
    'told together once it is back',
  )
  await sharing.stop()
})

postgresTest('a stop tells all that waits, however many they are', async (t) => {
  const database = await startDatabase(t, await freshPostgres(t))
  const [one, other] = [replica(database, perHour(2)), replica(database, perHour(2))]
  t.teardown(other.stop)
  for (let i = 0; i < 1200; i++) one.ask(`user ${i}`)
  one.ask('last')
  one.ask('last')
  await one.stop()
  t.true(other.ask('last'))
  await other.settled()
  t.false(other.ask('last'))
})
