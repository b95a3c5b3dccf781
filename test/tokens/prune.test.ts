import { randomUUID } from 'node:crypto'
import test from 'ava'
import type { Database } from '../../src/persistence/database.ts'
import { RefreshTokenEntity, SessionEntity } from '../../src/tokens/entities.ts'
import { createPruner } from '../../src/tokens/prune.ts'
import { eachDatabase, postgresTest, sharedPostgres, startDatabase } from '../support/database.ts'
import { keptLog, replicaDatabases } from '../support/replicas.ts'
import { until } from '../support/until.ts'

const { log } = keptLog()
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000)

function denials(database: Database, count: number, expiresAt: Date): Promise<unknown> {
  return database.run((em) =>
    em.execute(
      `insert into munjigi.denials (key, expires_at)
        select ? || n, ?::timestamptz from generate_series(1, ?) as n`,
      [`jti:${randomUUID()}-`, expiresAt.toISOString(), count],
    ),
  )
}

/** A session with one refresh token. */
async function session(database: Database, expiresAt: Date, tokenExpiresAt: Date): Promise<string> {
  const id = randomUUID()
  const createdAt = ago(86_400)
  await database.transaction(async (em) => {
    await em.insert(SessionEntity, {
      id,
      subject: 'ada',
      clientId: 'web',
      scope: '',
      audience: [],
      claims: {},
      createdAt,
      expiresAt,
      revokedAt: null,
    })
    const hash = `hash-${id}`
    await em.insert(RefreshTokenEntity, {
      hash,
      session: id,
      createdAt,
      expiresAt: tokenExpiresAt,
      usedAt: null,
    })
  })
  return id
}

async function count(database: Database, table: string): Promise<number> {
  const rows: { count: number }[] = await database.run((em) =>
    em.execute(`select count(*)::int as count from munjigi.${table}`),
  )
  return rows[0]!.count
}

eachDatabase((tested) => {
  tested.test('what has expired is deleted, in batches, and nothing else is', async (t) => {
    const [database] = await replicaDatabases(t, tested, 1)
    await denials(database!, 25, ago(600))
    await denials(database!, 3, ago(60))
    await denials(database!, 3, ago(-600))
    await session(database!, ago(1100), ago(-600))
    await session(database!, ago(-600), ago(1100))
    // Just over, but its last access token may live still, and is revoked through it.
    await session(database!, ago(60), ago(60))
    await session(database!, ago(-600), ago(-600))
    const rows = await createPruner({ database: database!, log, batchSize: 10 }).prune()
    t.is(rows, 25 + 1 + 1)
    t.is(await count(database!, 'denials'), 6)
    t.is(await count(database!, 'sessions'), 3)
    t.is(await count(database!, 'refresh_tokens'), 2)
  })

  tested.test('logins that were not ended in time are deleted as soon as that is over', async (t) => {
    const [database] = await replicaDatabases(t, tested, 1)
    for (const [key, at] of [
      ['over', ago(1)],
      ['under way', ago(-60)],
    ] as const) {
      await database!.run((em) =>
        em.execute(
          `with code as (
            insert into munjigi.login_codes (hash, provider, sealed_grant, browser_hash, expires_at)
            values (?, 'google', '', '', ?))
          insert into munjigi.login_attempts
            (state_hash, browser_hash, provider, sealed_secrets, return_to, expires_at)
          values (?, '', 'google', '', '', ?)`,
          [key, at, key, at],
        ),
      )
    }
    t.is(await createPruner({ database: database!, log }).prune(), 2)
    t.is(await count(database!, 'login_codes'), 1)
    t.is(await count(database!, 'login_attempts'), 1)
  })

  tested.test('it goes on by itself until it is stopped', async (t) => {
    const [database] = await replicaDatabases(t, tested, 1)
    const pruner = createPruner({ database: database!, log, intervalMs: 5 })
    t.teardown(pruner.stop)
    pruner.start()
    for (let round = 0; round < 2; round++) {
      await denials(database!, 2, ago(600))
      await until(async () => (await count(database!, 'denials')) === 0, 'they are gone')
    }
    t.pass()
  })
})

const fresh = sharedPostgres()

postgresTest('while one replica is at it another leaves it alone', async (t) => {
  const database = await startDatabase(t, await fresh(t))
  await denials(database, 5, ago(600))
  await database.transaction(async (em) => {
    await em.execute(`select pg_advisory_xact_lock(hashtextextended('munjigi.prune', 0))`)
    t.is(await createPruner({ database, log }).prune(), 0)
  })
  t.is(await createPruner({ database, log }).prune(), 5)
})

test('a database that is away is tried again later', async (t) => {
  let asked = 0
  const transaction = async () => {
    asked += 1
    throw new Error('away')
  }
  const pruner = createPruner({ database: { ready: () => true, transaction }, log, intervalMs: 1 })
  t.teardown(pruner.stop)
  pruner.start()
  await until(() => asked > 2, 'asked again')
  pruner.stop()
  t.pass()
})
