import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import type { Provider } from '../../src/oauth/provider.ts'
import type { VaultOptions } from '../../src/oauth/vault/vault.ts'
import { eachDatabase, type PostgresConfig, startDatabase } from '../support/database.ts'
import { type Behaviour, createTestProvider, startTokenProvider } from '../support/token-provider.ts'
import { until } from '../support/until.ts'
import { codeOf, createTurns, type SharedDatabase, shareDatabase, startVault } from '../support/vault.ts'

const day = 86_400_000
eachDatabase((tested) => {
  const shared = shareDatabase(tested)
  // What is swept is swept for all.
  const takeTurn = createTurns()

  /** A vault with a provider whose name no other test has, and a connection in it. */
  async function connected(
    t: ExecutionContext,
    given: {
      readonly behaviour?: Partial<Behaviour>
      readonly provider?: Partial<Provider>
      readonly expiresIn?: number
      readonly vault?: Partial<VaultOptions>
    } = {},
  ) {
    await takeTurn(t)
    const name = `test-${randomUUID().slice(0, 8)}`
    const provider = await startTokenProvider(t, given.behaviour)
    const own = createTestProvider(provider.url, { name, ...given.provider })
    const under = startVault(t, await shared(), own, given.vault)
    const grant = provider.grant('42', given.expiresIn)
    const connection = await under.connect(grant)
    const queued = () =>
      under.database.run((em) =>
        em.execute<{ attempts: number }[]>(
          'select attempts from munjigi.provider_revocations where provider = ?',
          [name],
        ),
      )
    const row = async () => {
      const [found] = await under.database.run((em) =>
        em.execute<{ generation: number }[]>('select generation from munjigi.connections where id = ?', [
          connection.id,
        ]),
      )
      return found
    }
    return { ...under, provider, own, grant, connection, queued, row }
  }

  const another = async (t: ExecutionContext, own: Provider | readonly Provider[], ahead = 0) =>
    startVault(t, (await shared()) as SharedDatabase, own, { now: () => Date.now() + ahead })

  tested.test('what is removed is gone, and its grant has ended at the provider', async (t) => {
    const { vault, connection, provider, grant, queued } = await connected(t)
    t.is(await vault.remove(connection.id, connection.subject), 'done')
    t.deepEqual(provider.revoked, [grant.tokens.refreshToken!])
    t.is(await vault.find(connection.id, connection.subject), undefined)
    t.is(await codeOf(vault.fresh(connection)), 'not_found')
    t.is(await codeOf(vault.refresh(connection)), 'not_found')
    t.is(await vault.remove(connection.id, connection.subject), undefined)
    t.deepEqual(await queued(), [])
  })

  tested.test('a provider that has no way to end a grant is said to have none', async (t) => {
    const { vault, connection, queued } = await connected(t, {
      provider: { revoke: () => Promise.resolve('unsupported') },
    })
    t.is(await vault.remove(connection.id, connection.subject), 'unsupported')
    t.deepEqual(await queued(), [])
  })

  tested.test(
    'with the provider away the grant is queued, and ended once it is back, by one replica',
    async (t) => {
      const { vault, connection, provider, own, queued, log } = await connected(t, {
        behaviour: { revokeStatus: 503 },
      })
      t.is(await vault.remove(connection.id, connection.subject), 'queued')
      t.is(await vault.find(connection.id, connection.subject), undefined)
      t.is((await queued()).length, 1)
      t.regex(log.entries[0]?.message ?? '', /tried again/)
      provider.behaviour.revokeStatus = 200
      provider.behaviour.delayMs = 100
      const replicas = await Promise.all([1, 2, 3].map(() => another(t, own, 120_000)))
      for (const one of replicas) one.vault.start()
      await until(async () => (await queued()).length === 0, 'the grant has ended')
      for (const one of replicas) await one.vault.stop()
      t.is(provider.revoked.length, 1)
    },
  )

  tested.test('a grant that cannot be ended for a week is given up, in as many words', async (t) => {
    const { vault, connection, own, queued, provider } = await connected(t, {
      behaviour: { revokeStatus: 503 },
    })
    await vault.remove(connection.id, connection.subject)
    const later = await another(t, own, 8 * day)
    later.vault.start()
    await until(async () => (await queued()).length === 0, 'it is given up')
    const last = later.log.entries.find(({ message }) => /for a week/.test(message))
    t.is(last?.fields.provider, own.name)
    t.false(provider.issued.some((token) => JSON.stringify(later.log.entries).includes(token)))
  })

  tested.test('a queued grant of an account that was connected again is left alone', async (t) => {
    const { vault, connect, connection, own, queued, provider } = await connected(t, {
      behaviour: { revokeStatus: 503 },
    })
    await vault.remove(connection.id, connection.subject)
    await connect(provider.grant('42'), connection.subject)
    provider.behaviour.revokeStatus = 200
    const later = await another(t, own, 120_000)
    later.vault.start()
    await until(async () => (await queued()).length === 0, 'it is off the list')
    await later.vault.stop()
    t.deepEqual(provider.revoked, [])
  })

  tested.test('of a provider that is not configured any more the grant stays queued', async (t) => {
    const { connection, queued } = await connected(t)
    const { vault, log } = await another(t, [])
    t.is(await vault.remove(connection.id, connection.subject), 'queued')
    t.is((await queued()).length, 1)
    t.regex(log.entries[0]?.message ?? '', /not configured/)
  })

  tested.test('removed while it is being refreshed, the new tokens are those that are revoked', async (t) => {
    const { vault, connection, provider } = await connected(t, { behaviour: { delayMs: 200 } })
    const asked = provider.asked()
    const refreshing = vault.refresh(connection)
    await asked
    t.is(await vault.remove(connection.id, connection.subject), 'done')
    await refreshing
    t.deepEqual(provider.revoked, [provider.issued[3]!])
    t.is(await vault.find(connection.id, connection.subject), undefined)
  })

  tested.test(
    'removed by another while it is being refreshed, it stays removed and its grant ends',
    async (t) => {
      const { vault, connection, provider, own, queued, database } = await connected(t, {
        behaviour: { delayMs: 300 },
      })
      const asked = provider.asked()
      const refreshing = codeOf(vault.refresh(connection))
      await asked
      const other = await another(t, own)
      await other.vault.remove(connection.id, connection.subject)
      await refreshing
      t.is(await vault.find(connection.id, connection.subject), undefined)
      const later = await another(t, own, 1000)
      later.vault.start()
      await until(async () => (await queued()).length === 0, 'nothing is left to end')
      await later.vault.stop()
      t.true(provider.revoked.includes(provider.issued[3]!))
      const left = await database.run((em) =>
        em.execute('select 1 from munjigi.connections where id = ?', [connection.id]),
      )
      t.is(left.length, 0)
    },
  )

  tested.test(
    'a connection that would die of disuse is refreshed by one replica, though nobody asks',
    async (t) => {
      const keepAliveAt = (_: unknown, at: number) => at + 30 * 86_400
      const { own, provider, row } = await connected(t, {
        provider: { keepAliveAt },
        behaviour: { delayMs: 100 },
      })
      const early = await another(t, own, 29 * day)
      early.vault.start()
      // The embedded database is one process's alone.
      const count = tested.name === 'PGlite' ? 1 : 3
      const replicas = await Promise.all(Array.from({ length: count }, () => another(t, own, 31 * day)))
      for (const one of replicas) one.vault.start()
      await until(async () => (await row())?.generation === 1, 'it is refreshed')
      for (const one of [early, ...replicas]) await one.vault.stop()
      t.is(provider.refreshes(), 1)
      t.is((await row())?.generation, 1)
    },
  )

  tested.test('stop waits for what is under way', async (t) => {
    const { vault, connection, provider, row } = await connected(t, { behaviour: { delayMs: 200 } })
    const asked = provider.asked()
    const refreshing = vault.refresh(connection)
    await asked
    await vault.stop()
    t.is((await row())?.generation, 1)
    await refreshing
  })

  if (tested.name !== 'PostgreSQL') return

  tested.test('whoever waits to remove what another refreshes keeps no connection of the pool', async (t) => {
    const { vault, connection, provider, own } = await connected(t, { behaviour: { delayMs: 2000 } })
    const asked = provider.asked()
    const refreshing = vault.refresh(connection)
    await asked
    const { config } = await shared()
    const small = { ...config, poolSize: 2, connectTimeoutMs: 1000 } as PostgresConfig
    const database = await startDatabase(t, small)
    const other = startVault(t, { database, config: small }, own)
    const removing = Array.from({ length: 10 }, () => other.vault.remove(connection.id, connection.subject))
    for (let n = 0; n < 20; n++) await database.run((em) => em.execute('select 1'))
    await refreshing
    const outcomes = (await Promise.all(removing)).filter((one) => one !== undefined)
    t.deepEqual(outcomes, ['done'])
    t.deepEqual(provider.revoked, [provider.issued[3]!])
  })
})
