import { GatewayError } from '../../src/errors.ts'
import { gatewayTables } from '../../src/persistence/tables.ts'
import { DenialEntity } from '../../src/tokens/entities.ts'
import { createTestDatabase, eachDatabase, startDatabase } from '../support/database.ts'

const tableNames = gatewayTables.entities.map((entity) => entity.meta.tableName)

eachDatabase(({ name, test, fresh }) => {
  const denial = (key: string) => ({ key, expiresAt: new Date('2030-01-01T00:00:00Z') })

  test('is ready once started, with the tables in a schema of their own', async (t) => {
    const database = createTestDatabase(t, await fresh(t))
    t.false(database.ready())
    t.is(database.state(), 'starting')
    await database.start()
    t.true(database.ready())
    t.is(database.state(), 'live')
    const tables = await database.run((em) =>
      em.execute(
        `select table_name from information_schema.tables where table_schema = 'munjigi' order by 1`,
      ),
    )
    t.deepEqual(
      tables.map(({ table_name: name }) => name),
      [...tableNames, 'migrations'].toSorted(),
    )
  })

  test('a second start finds the schema up to date and what was committed', async (t) => {
    const config = await fresh(t)
    const first = await startDatabase(t, config)
    await first.transaction(async (em) => void em.persist(em.create(DenialEntity, denial('jti:1') as never)))
    await first.stop()
    const second = await startDatabase(t, config)
    const found = await second.run((em) => em.find(DenialEntity, {}))
    t.deepEqual(
      found.map(({ key, expiresAt }) => ({ key, expiresAt })),
      [denial('jti:1')],
    )
  })

  test('a transaction that throws leaves nothing behind, and throws that very error', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const mine = new Error('mine')
    const thrown = await t.throwsAsync(
      database.transaction(async (em) => {
        await em.insert(DenialEntity, denial('jti:1') as never)
        throw mine
      }),
    )
    t.is(thrown, mine)
    t.is(await database.run((em) => em.count(DenialEntity)), 0)
  })

  test('a constraint that is violated is no unavailable database', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const insert = () => database.run((em) => em.insert(DenialEntity, denial('jti:1') as never))
    await insert()
    const error = await t.throwsAsync(insert())
    t.false(error instanceof GatewayError)
    t.is((error as { code?: string } | undefined)?.code, '23505')
    t.is(database.state(), 'live')
  })

  test('no two calls share entities that they have loaded', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    await database.run((em) => em.insert(DenialEntity, denial('jti:1') as never))
    const load = () => database.run((em) => em.findOneOrFail(DenialEntity, 'jti:1'))
    t.not(await load(), await load())
  })

  // The embedded database has one connection: there it would wait for itself.
  if (name === 'PostgreSQL')
    test('a transaction within another is one of its own', async (t) => {
      const database = await startDatabase(t, await fresh(t))
      await t.throwsAsync(
        database.transaction(async () => {
          await database.transaction((em) => em.insert(DenialEntity, denial('jti:1') as never))
          throw new Error('the outer one')
        }),
      )
      t.is(await database.run((em) => em.count(DenialEntity)), 1)
    })

  test('before the start and after the stop it is unavailable, with Retry-After', async (t) => {
    const database = createTestDatabase(t, await fresh(t))
    const ask = () =>
      t.throwsAsync<GatewayError>(
        database.run((em) => em.execute('select 1')),
        {
          instanceOf: GatewayError,
        },
      )
    const before = await ask()
    await database.start()
    await database.stop()
    const after = await ask()
    for (const error of [before, after]) {
      t.is(error?.code, 'database_unavailable')
      t.regex(error?.headers['Retry-After'] ?? '', /^\d+$/)
    }
  })

  test('stop before or during the start ends it', async (t) => {
    const config = await fresh(t)
    const database = createTestDatabase(t, config)
    const starting = database.start()
    await database.stop()
    await starting
    t.false(database.ready())
    // And what it had taken is free again.
    await startDatabase(t, config)
  })
})
