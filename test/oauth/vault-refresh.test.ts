import type { ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import type { Provider } from '../../src/oauth/provider.ts'
import { createQuestions } from '../../src/oauth/vault/questions.ts'
import type { VaultOptions } from '../../src/oauth/vault/vault.ts'
import { eachDatabase, type PostgresConfig, startDatabase } from '../support/database.ts'
import { type Behaviour, createTestProvider, startTokenProvider } from '../support/token-provider.ts'
import { until } from '../support/until.ts'
import { codeOf, shareDatabase, startVault } from '../support/vault.ts'

eachDatabase((tested) => {
  const shared = shareDatabase(tested)

  /** A vault, and a connection in it whose first access token lives so many seconds. */
  async function connected(
    t: ExecutionContext,
    given: {
      readonly expiresIn?: number
      readonly behaviour?: Partial<Behaviour>
      readonly provider?: Partial<Provider> & { readonly timeoutMs?: number }
      readonly vault?: Partial<VaultOptions>
    } = {},
  ) {
    const provider = await startTokenProvider(t, given.behaviour)
    const under = startVault(t, await shared(), createTestProvider(provider.url, given.provider), given.vault)
    const grant = provider.grant('42', given.expiresIn ?? -10)
    const connection = await under.connect(grant)
    const row = async () => {
      const [found] = await under.database.run((em) =>
        em.execute<{ state: string; generation: number; failures: number }[]>(
          'select state, generation, failures from munjigi.connections where id = ?',
          [connection.id],
        ),
      )
      return found!
    }
    return { ...under, provider, grant, connection, row }
  }

  tested.test('a token that is good for a while is served as it is', async (t) => {
    const { vault, provider, connection, grant } = await connected(t, { expiresIn: 3600 })
    t.is((await vault.fresh(connection)).accessToken, grant.tokens.accessToken)
    t.is(provider.refreshes(), 0)
  })

  tested.test(
    'a token that has expired is refreshed first, and the new one served from then on',
    async (t) => {
      const { vault, provider, connection } = await connected(t)
      const fresh = await vault.fresh(connection)
      t.is(fresh.accessToken, provider.issued[2]!)
      t.true(fresh.expiresAt!.getTime() > Date.now() + 3_500_000)
      t.truthy(fresh.lastRefreshedAt)
      t.true(fresh.updatedAt > connection.updatedAt)
      t.is(fresh.scope, 'profile email')
      t.is((await vault.fresh(connection)).accessToken, fresh.accessToken)
      t.is(provider.refreshes(), 1)
    },
  )

  tested.test('a token that is about to expire is refreshed ahead', async (t) => {
    let ahead = 0
    const { vault, provider, connection, grant } = await connected(t, {
      expiresIn: 600,
      vault: { now: () => Date.now() + ahead },
    })
    t.is((await vault.fresh(connection)).accessToken, grant.tokens.accessToken)
    ahead = 550_000
    t.not((await vault.fresh(connection)).accessToken, grant.tokens.accessToken)
    t.is(provider.refreshes(), 1)
  })

  tested.test(
    'a token that lives for less than the time ahead is not refreshed at every request',
    async (t) => {
      const { vault, provider, connection } = await connected(t, { behaviour: { expiresIn: 30 } })
      await vault.fresh(connection)
      await vault.fresh(connection)
      t.is(provider.refreshes(), 1)
    },
  )

  tested.test('a token without an end is never refreshed unless somebody says so', async (t) => {
    const { vault, provider, connection } = await connected(t, { behaviour: { expiresIn: undefined } })
    t.is((await vault.refresh(connection)).expiresAt, undefined)
    await vault.fresh(connection)
    t.is(provider.refreshes(), 1)
  })

  tested.test('fifty who ask at once get the same token, of one refresh', async (t) => {
    const { vault, provider, connection } = await connected(t, { behaviour: { delayMs: 100 } })
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, n) => (n % 2 ? vault.fresh(connection) : vault.refresh(connection))),
    )
    t.is(provider.refreshes(), 1)
    t.is(new Set(all.map(({ accessToken }) => accessToken)).size, 1)
  })

  tested.test(
    'who saw it before it was refreshed gets that token, who saw it after gets another',
    async (t) => {
      const { vault, provider, connection } = await connected(t)
      const first = await vault.refresh(connection)
      t.is((await vault.refresh(connection)).accessToken, first.accessToken)
      t.is(provider.refreshes(), 1)
      t.not((await vault.refresh(first)).accessToken, first.accessToken)
      t.is(provider.refreshes(), 2)
    },
  )

  tested.test('a reply without a refresh token leaves the stored one', async (t) => {
    const { vault, provider, connection } = await connected(t, { behaviour: { rotates: false } })
    const first = await vault.refresh(connection)
    const second = await vault.refresh(first)
    t.not(second.accessToken, first.accessToken)
    t.is(provider.refreshes(), 2)
  })

  tested.test('a reply with a refresh token replaces the stored one', async (t) => {
    const { vault, provider, connection } = await connected(t)
    await vault.refresh(await vault.refresh(await vault.refresh(connection)))
    t.is(provider.refreshes(), 3)
  })

  tested.test('invalid_grant needs the user again, and the provider is asked no more', async (t) => {
    const { vault, provider, connection, row } = await connected(t, {
      behaviour: { status: 400, error: 'invalid_grant' },
    })
    t.is(await codeOf(vault.fresh(connection)), 'reauthorization_required')
    t.is((await row()).state, 'needs_reauth')
    t.is(await codeOf(vault.fresh(connection)), 'reauthorization_required')
    t.is(await codeOf(vault.refresh(connection)), 'reauthorization_required')
    t.is(provider.refreshes(), 1)
    t.is((await vault.find(connection.id, connection.subject))?.state, 'needs_reauth')
  })

  tested.test('a login renews a connection that needed it', async (t) => {
    const { vault, connect, provider, connection, row } = await connected(t, {
      behaviour: { status: 400, error: 'invalid_grant' },
    })
    await codeOf(vault.fresh(connection))
    const again = await connect(provider.grant('42'), connection.subject)
    t.is(again.id, connection.id)
    t.is((await row()).state, 'active')
    t.is((await vault.fresh(connection)).accessToken, again.accessToken)
  })

  tested.test('5xx leaves it active, and nothing is asked until the cooldown is over', async (t) => {
    let stopped: number | undefined
    const { vault, provider, connection, row } = await connected(t, {
      behaviour: { status: 503 },
      vault: { now: () => stopped ?? Date.now(), random: () => 1 },
    })
    stopped = Date.now()
    t.is(await codeOf(vault.fresh(connection)), 'provider_bad_response')
    t.like(await row(), { state: 'active', failures: 1, generation: 0 })
    const error = await t.throwsAsync<GatewayError>(vault.fresh(connection))
    t.is(error?.code, 'refresh_postponed')
    t.is(error?.headers['Retry-After'], '1')
    t.is(await codeOf(vault.refresh(connection)), 'refresh_postponed')
    t.is(provider.refreshes(), 1)
    stopped += 1100
    t.is(await codeOf(vault.refresh(connection)), 'provider_bad_response')
    t.is((await row()).failures, 2)
    provider.behaviour.status = 200
    stopped += 2100
    t.is((await vault.fresh(connection)).accessToken, provider.issued[2]!)
    t.like(await row(), { state: 'active', failures: 0, generation: 1 })
  })

  tested.test('a timeout leaves it active', async (t) => {
    const { vault, connection, row } = await connected(t, {
      behaviour: { delayMs: 500 },
      provider: { timeoutMs: 50 },
    })
    t.is(await codeOf(vault.fresh(connection)), 'provider_timeout')
    t.like(await row(), { state: 'active', failures: 1 })
  })

  tested.test('while the stored token is good it is served though a refresh fails', async (t) => {
    let stopped: number | undefined
    const { vault, provider, connection, grant } = await connected(t, {
      expiresIn: 600,
      behaviour: { status: 503 },
      vault: { now: () => stopped ?? Date.now() },
    })
    // The cooldown must not end between the two.
    stopped = Date.now() + 550_000
    for (const _ of [1, 2]) t.is((await vault.fresh(connection)).accessToken, grant.tokens.accessToken)
    t.is(provider.refreshes(), 1)
  })

  tested.test('nobody waits for long for a new token while the stored one is good', async (t) => {
    let ahead = 0
    const gate = Promise.withResolvers<void>()
    const provider = await startTokenProvider(t)
    const grant = provider.grant('42', 600)
    const renewed = {
      ...grant.tokens,
      accessToken: 'renewed',
      expiresAt: Math.floor(Date.now() / 1000) + 3600,
    }
    const { vault, connect } = startVault(
      t,
      await shared(),
      createTestProvider(provider.url, { refresh: () => gate.promise.then(() => renewed) }),
      { now: () => Date.now() + ahead },
    )
    const connection = await connect(grant)
    ahead = 550_000
    t.is((await vault.fresh(connection)).accessToken, grant.tokens.accessToken)
    gate.resolve()
    t.is((await vault.refresh(connection)).accessToken, 'renewed')
  })

  tested.test('a gateway that ends asks no provider any more', async (t) => {
    const { vault, connection, provider, row } = await connected(t)
    await vault.stop()
    t.is(await codeOf(vault.fresh(connection)), 'refresh_postponed')
    t.is(provider.refreshes(), 0)
    t.like(await row(), { state: 'active', failures: 0, generation: 0 })
  })

  tested.test(
    'a token that cannot be renewed is served while it is good, then the user is needed',
    async (t) => {
      const startedAt = Date.now()
      let ahead = 0
      const { vault, provider, connection, grant, row } = await connected(t, {
        expiresIn: 30,
        provider: { canRefresh: () => false },
        vault: { now: () => startedAt + ahead },
      })
      ahead = 20_000
      t.is((await vault.fresh(connection)).accessToken, grant.tokens.accessToken)
      t.is(await codeOf(vault.refresh(connection)), 'reauthorization_required')
      t.is((await row()).state, 'active')
      ahead = 600_000
      t.is(await codeOf(vault.fresh(connection)), 'reauthorization_required')
      t.is((await row()).state, 'needs_reauth')
      t.is(provider.refreshes(), 0)
    },
  )

  tested.test('a provider that is not configured any more: a good token is served, no other', async (t) => {
    const startedAt = Date.now()
    const { connection, grant } = await connected(t, { expiresIn: 30 })
    let ahead = 20_000
    const now = () => startedAt + ahead
    const { vault } = startVault(t, await shared(), [] as Provider[], { now })
    t.is((await vault.fresh(connection)).accessToken, grant.tokens.accessToken)
    ahead = 600_000
    const error = await t.throwsAsync<GatewayError>(vault.fresh(connection))
    t.is(error?.code, 'refresh_postponed')
    t.regex(error?.detail ?? '', /test is not configured/)
  })

  tested.test('a provider that fails with something of its own shows nothing of it', async (t) => {
    const { vault, log, connection } = await connected(t, {
      provider: { refresh: () => Promise.reject(new Error('token=secret-in-message')) },
    })
    const error = await t.throwsAsync<GatewayError>(vault.fresh(connection))
    t.is(error?.code, 'provider_bad_response')
    t.is(error?.cause, undefined)
    t.false(JSON.stringify(log.entries).includes('secret-in-message'))
  })

  tested.test('an answer that comes after the patience is over is kept all the same', async (t) => {
    // The answer's bound is the provider's timeout and five seconds: 100 ms here.
    const { vault, connection, row, provider } = await connected(t, {
      behaviour: { delayMs: 400 },
      vault: { providerTimeoutMs: -4900 },
    })
    t.is(await codeOf(vault.fresh(connection)), 'provider_timeout')
    await until(async () => (await row()).generation === 1, 'it is written')
    t.is((await vault.fresh(connection)).accessToken, provider.issued[2]!)
    t.is(provider.refreshes(), 1)
  })

  tested.test('renewed by a login while it is being refreshed, the login counts', async (t) => {
    const { vault, connect, provider, connection } = await connected(t, { behaviour: { delayMs: 200 } })
    const asked = provider.asked()
    const refreshing = vault.fresh(connection)
    await asked
    const login = await connect(provider.grant('42'), connection.subject)
    await refreshing
    t.is((await vault.fresh(connection)).accessToken, login.accessToken)
  })

  if (tested.name !== 'PostgreSQL') return

  tested.test('a provider that never answers takes half of the pool at the most', async (t) => {
    const { config } = await shared()
    const small = { ...config, poolSize: 2, connectTimeoutMs: 5000 } as PostgresConfig
    const database = await startDatabase(t, small)
    const gate = Promise.withResolvers<void>()
    const provider = await startTokenProvider(t)
    const own = createTestProvider(provider.url)
    let asked = 0
    const slow: Provider = {
      ...own,
      async refresh(tokens) {
        asked++
        await gate.promise
        return own.refresh(tokens)
      },
    }
    const { vault, connect } = startVault(t, { database, config: small }, slow)
    const connections = []
    for (const user of ['1', '2', '3', '4']) connections.push(await connect(provider.grant(user, -10)))
    const refreshing = Promise.all(connections.map((one) => vault.fresh(one)))
    await until(() => asked === 1, 'the provider is asked')
    for (let n = 0; n < 20; n++) await database.run((em) => em.execute('select 1'))
    t.is(asked, 1)
    gate.resolve()
    t.is((await refreshing).length, 4)
    t.is(provider.refreshes(), 4)
  })

  tested.test('a provider that never answers keeps nobody waiting who asks another', async (t) => {
    const { config } = await shared()
    const small = { ...config, poolSize: 4 } as PostgresConfig
    const database = await startDatabase(t, small)
    const gate = Promise.withResolvers<void>()
    const provider = await startTokenProvider(t)
    const own = createTestProvider(provider.url)
    let asked = 0
    const silent: Provider = {
      ...own,
      name: 'silent',
      async refresh() {
        asked++
        await gate.promise
        throw new GatewayError('provider_timeout')
      },
    }
    const { vault, connect } = startVault(t, { database, config: small }, [silent, own])
    const lost = []
    for (const user of ['1', '2', '3', '4']) lost.push(await connect(provider.grant(user, -10)))
    const given = { subject: lost[0]!.subject, provider: own.name, grant: provider.grant('5', -10) }
    const other = await database.transaction((em) => vault.store(em, given))
    const waiting = lost.map((one) => codeOf(vault.fresh(one)))
    await until(() => asked > 0, 'the silent provider is asked')
    await vault.fresh(other)
    t.is(provider.refreshes(), 1)
    t.is(asked, 1)
    gate.resolve()
    t.deepEqual([...new Set(await Promise.all(waiting))], ['provider_timeout'])
  })

  /** A connection of which another process has asked, and does not leave off. */
  async function askedElsewhere(t: ExecutionContext, given: Partial<VaultOptions> = {}) {
    const { config } = await shared()
    const small = { ...config, poolSize: 2 } as PostgresConfig
    const database = await startDatabase(t, small)
    const provider = await startTokenProvider(t)
    let looks = 0
    const transaction: typeof database.transaction = (work) =>
      database.transaction(work).finally(() => looks++)
    const under = startVault(t, { database, config: small }, createTestProvider(provider.url), {
      database: { ...database, transaction },
      ...given,
    })
    const connection = await under.connect(provider.grant('42', -10))
    const questions = createQuestions({ database: (await shared()).database })
    await questions.begin(connection.id)
    const { promise, resolve: leaveOff } = Promise.withResolvers<void>()
    const asking = questions.whileAsking(connection.id, () => promise)
    t.teardown(leaveOff)
    return { ...under, provider, connection, questions, asking, leaveOff, looks: () => looks }
  }

  tested.test('who waits for another process that asks and asks is told to come again', async (t) => {
    // It waits for ten seconds longer than the provider may take.
    const { vault, provider, connection } = await askedElsewhere(t, { providerTimeoutMs: -5000 })
    t.is(await codeOf(vault.fresh(connection)), 'refresh_postponed')
    t.is(provider.refreshes(), 0)
  })

  tested.test('who waits for another process takes no turn from those who wait for none', async (t) => {
    const { vault, connect, provider, connection, ...elsewhere } = await askedElsewhere(t)
    const waiting = vault.fresh(connection)
    // All at once are more than may ask at a time.
    const others = await Promise.all(['1', '2', '3'].map((user) => connect(provider.grant(user, -10))))
    await Promise.all(others.map((other) => vault.fresh(other)))
    t.is(provider.refreshes(), 3)
    elsewhere.leaveOff()
    await elsewhere.asking
    await elsewhere.database.run((em) => elsewhere.questions.end(em, connection.id))
    await waiting
    t.is(provider.refreshes(), 4)
  })

  tested.test('a gateway that ends waits for no other that asks', async (t) => {
    const { vault, provider, connection, looks } = await askedElsewhere(t)
    const waiting = codeOf(vault.fresh(connection))
    await until(() => looks() > 1, 'it has looked twice')
    await vault.stop()
    t.is(await waiting, 'refresh_postponed')
    t.is(provider.refreshes(), 0)
  })

  tested.test('a login waits for a refresh that goes on longer than a statement may', async (t) => {
    const { config } = await shared()
    const hasty = { ...config, statementTimeoutMs: 1000 } as PostgresConfig
    const provider = await startTokenProvider(t, { delayMs: 2500 })
    const own = createTestProvider(provider.url)
    const one = startVault(t, await shared(), own)
    const other = startVault(t, { database: await startDatabase(t, hasty), config: hasty }, own)
    const connection = await one.connect(provider.grant('42', -10))
    const asked = provider.asked()
    const refreshing = one.vault.fresh(connection)
    await asked
    const login = await other.connect(provider.grant('42'), connection.subject)
    await refreshing
    t.is(login.id, connection.id)
    t.is((await one.vault.fresh(connection)).accessToken, login.accessToken)
  })
})
