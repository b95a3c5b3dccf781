import { randomUUID } from 'node:crypto'
import { rewrapVault } from '../../src/oauth/vault/rewrap.ts'
import { createSealer } from '../../src/persistence/sealer.ts'
import { eachDatabase } from '../support/database.ts'
import { dumpDatabase, secretsIn } from '../support/dump.ts'
import { createTestProvider, startTokenProvider } from '../support/token-provider.ts'
import { until } from '../support/until.ts'
import { codeOf, newKey, shareDatabase, startVault } from '../support/vault.ts'

eachDatabase((tested) => {
  const shared = shareDatabase(tested)

  tested.test('what is stored is found by its id and whose it is, without its tokens', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const { accessToken, ...connection } = await connect(provider.grant('42'), 'ada')
    t.is(accessToken, provider.issued[0]!)
    t.deepEqual(await vault.find(connection.id, 'ada'), connection)
    t.like(connection, {
      ...{ subject: 'ada', provider: 'test', scope: 'profile email', tokenType: 'Bearer', state: 'active' },
      ...{ lastRefreshedAt: undefined, profile: { id: '42', name: 'Ada', emailVerified: true } },
    })
  })

  tested.test("somebody else's, an unknown id and no id at all are the same", async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const { id } = await connect(provider.grant('42'))
    for (const one of [id, randomUUID(), 'nope', `${id}'`, '']) {
      t.is(await vault.find(one, 'eve'), undefined)
      t.is(await vault.remove(one, 'eve'), undefined)
    }
    const forged = { ...(await connect(provider.grant('43'))), subject: 'eve' }
    t.is(await codeOf(vault.fresh(forged)), 'not_found')
    t.is(await codeOf(vault.refresh(forged)), 'not_found')
  })

  tested.test('the same account of the same subject is one connection, renewed', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const first = await connect(provider.grant('42'))
    const { tokens, profile } = provider.grant('42')
    const renewed = { tokens: { ...tokens, scope: undefined }, profile: { ...profile, name: 'Ada L.' } }
    const second = await connect(renewed, first.subject)
    t.is(second.id, first.id)
    t.deepEqual(second.createdAt, first.createdAt)
    t.true(second.updatedAt > first.updatedAt)
    t.like(second, { accessToken: tokens.accessToken, scope: 'profile email', profile: { name: 'Ada L.' } })
    t.not((await connect(provider.grant('43'), first.subject)).id, first.id)
    t.not((await connect(provider.grant('42'))).id, first.id)
    t.is((await vault.list({ subject: first.subject, limit: 10 })).length, 2)
  })

  tested.test('a refresh token that is not granted anew is kept', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const { subject } = await connect(provider.grant('42'))
    const { tokens, profile } = provider.grant('42')
    const connection = await connect({ profile, tokens: { ...tokens, refreshToken: undefined } }, subject)
    await vault.refresh(connection)
    t.is(provider.refreshes(), 1)
  })

  tested.test('a refresh token that is kept is used in time, as it would have been', async (t) => {
    const provider = await startTokenProvider(t)
    const own = createTestProvider(provider.url, {
      keepAliveAt: ({ refreshToken }, at) => (refreshToken === undefined ? undefined : at + 86_400),
    })
    const { connect, database } = startVault(t, await shared(), own)
    const { id, subject } = await connect(provider.grant('42'))
    const keepAliveAt = async () => {
      const sql = 'select keep_alive_at from munjigi.connections where id = ?'
      const [row] = await database.run((em) => em.execute<{ keep_alive_at: unknown }[]>(sql, [id]))
      return row?.keep_alive_at
    }
    const before = await keepAliveAt()
    t.truthy(before)
    const { tokens, profile } = provider.grant('42')
    await connect({ profile, tokens: { ...tokens, refreshToken: undefined } }, subject)
    t.deepEqual(await keepAliveAt(), before)
  })

  tested.test('logins of one account at the same moment make one connection', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const subject = randomUUID()
    const all = await Promise.all(Array.from({ length: 8 }, () => connect(provider.grant('42'), subject)))
    t.is(new Set(all.map(({ id }) => id)).size, 1)
    const [connection] = await vault.list({ subject, limit: 10 })
    const { accessToken } = await vault.fresh(connection!)
    t.true(all.some((one) => one.accessToken === accessToken))
  })

  tested.test('what is stored in a transaction that fails is not stored', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, database } = startVault(t, await shared(), createTestProvider(provider.url))
    const given = { subject: randomUUID(), provider: 'test', grant: provider.grant('42') }
    const failing = database.transaction(async (em) => {
      await vault.store(em, given)
      throw new Error('no')
    })
    await t.throwsAsync(failing, { message: 'no' })
    t.deepEqual(await vault.list({ subject: given.subject, limit: 10 }), [])
  })

  tested.test('the list is paged, newest first, also between those of the same moment', async (t) => {
    const provider = await startTokenProvider(t)
    const at = Date.now()
    let seconds = 0
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url), {
      now: () => at + 1000 * Math.floor(seconds++ / 4),
    })
    const subject = randomUUID()
    for (let n = 0; n < 7; n++) await connect(provider.grant(`user-${n}`), subject)
    const whole = await vault.list({ subject, limit: 100 })
    t.is(whole.length, 7)
    const times = whole.map(({ createdAt }) => createdAt.getTime())
    t.deepEqual(
      times,
      times.toSorted((a, b) => b - a),
    )
    t.true(new Set(times).size < 7)
    const pages: string[] = []
    for (let after: (typeof whole)[number] | undefined; ; ) {
      const page = await vault.list({ subject, provider: 'test', limit: 2, after })
      pages.push(...page.map(({ id }) => id))
      after = page.at(-1)
      if (page.length < 2) break
    }
    t.deepEqual(
      pages,
      whole.map(({ id }) => id),
    )
    t.deepEqual(await vault.list({ subject, provider: 'other', limit: 2 }), [])
  })

  tested.test('the latest is an active one rather than one that needs the user', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const first = await connect(provider.grant('1'))
    const second = await connect(provider.grant('2'), first.subject)
    t.is((await vault.latest(first.subject, 'test'))?.id, second.id)
    Object.assign(provider.behaviour, { status: 400, error: 'invalid_grant' })
    t.is(await codeOf(vault.refresh(second)), 'reauthorization_required')
    t.is((await vault.latest(first.subject, 'test'))?.id, first.id)
    t.is(await vault.latest(first.subject, 'other'), undefined)
  })

  tested.test('which of two accounts is the latest does not change as tokens are refreshed', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const first = await connect(provider.grant('1'))
    const second = await connect(provider.grant('2'), first.subject)
    await vault.refresh(first)
    t.is((await vault.latest(first.subject, 'test'))?.id, second.id)
  })

  for (const [what, column] of [
    ['access tokens', 'sealed_access_token'],
    ['refresh tokens', 'sealed_refresh_token'],
  ] as const) {
    tested.test(`${what} of two rows that were swapped are not served, nor sent`, async (t) => {
      const provider = await startTokenProvider(t)
      const { vault, connect, database, log } = startVault(
        ...([t, await shared(), createTestProvider(provider.url)] as const),
      )
      const one = await connect(provider.grant('1', -10))
      const other = await connect(provider.grant('2', -10))
      await database.run((em) =>
        em.execute(
          `update munjigi.connections c set ${column} = o.${column} from munjigi.connections o
            where c.id in (?, ?) and o.id in (?, ?) and o.id <> c.id`,
          [one.id, other.id, one.id, other.id],
        ),
      )
      t.is(await codeOf(vault.fresh(one)), 'vault_unreadable')
      t.is(await codeOf(vault.refresh(other)), 'vault_unreadable')
      t.is(provider.refreshes(), 0)
      t.is(log.entries.length, 2)
      const place = column === 'sealed_access_token' ? 'access_token' : 'refresh_token'
      t.is(log.entries[0]?.fields.place, `connections.${place}:${one.id}`)
      t.deepEqual(secretsIn(JSON.stringify(log.entries), secretsOf(provider.issued)), [])
    })
  }

  tested.test('tokens of two columns that were swapped are not served', async (t) => {
    const provider = await startTokenProvider(t)
    const { vault, connect, database } = startVault(t, await shared(), createTestProvider(provider.url))
    const connection = await connect(provider.grant('1'))
    await database.run((em) =>
      em.execute(
        `update munjigi.connections set sealed_access_token = sealed_refresh_token,
          sealed_refresh_token = sealed_access_token where id = ?`,
        [connection.id],
      ),
    )
    t.is(await codeOf(vault.fresh(connection)), 'vault_unreadable')
  })

  tested.test('an unreadable connection can be removed all the same, and that is said', async (t) => {
    const provider = await startTokenProvider(t)
    const { connect } = startVault(t, await shared(), createTestProvider(provider.url))
    const { id, subject } = await connect(provider.grant('1'))
    const { vault, log } = startVault(t, await shared(), createTestProvider(provider.url), {
      keys: [newKey('another')],
    })
    t.is(await vault.remove(id, subject), 'unsupported')
    t.is(await vault.find(id, subject), undefined)
    t.regex(log.entries.at(-1)?.message ?? '', /tokens are unreadable/)
  })

  tested.test(
    'keys rotated, old rows are readable, and without the old key once they are rewrapped',
    async (t) => {
      const [older, newer] = [newKey('older'), newKey('newer')]
      const provider = await startTokenProvider(t)
      const own = createTestProvider(provider.url)
      const { connect } = startVault(t, await shared(), own, { keys: [older] })
      const stored = await connect(provider.grant('1'))
      const { refreshToken: _, ...tokens } = provider.grant('2').tokens
      const without = await connect({
        ...{ tokens: { ...tokens, refreshToken: undefined } },
        profile: { id: '2', emailVerified: false },
      })
      const both = startVault(t, await shared(), own, { keys: [newer, older] })
      t.is((await both.vault.fresh(stored)).accessToken, stored.accessToken)
      const current = await both.connect(provider.grant('3'))
      const sealed = () =>
        both.database.run((em) =>
          em.execute<{ text: string }[]>(
            'select sealed_access_token || updated_at as text from munjigi.connections where id = ?',
            [current.id],
          ),
        )
      const before = await sealed()
      const rewrapped = await both.database.run((em) => rewrapVault(em, createSealer([newer, older])))
      // Other tests have rows of their own here, under keys that these are not.
      t.is(rewrapped.count, 2)
      t.deepEqual(await sealed(), before)
      const { vault } = startVault(t, await shared(), own, { keys: [newer] })
      t.is((await vault.fresh(stored)).accessToken, stored.accessToken)
      t.is((await vault.fresh(without)).accessToken, without.accessToken)
      await vault.refresh(stored)
      t.is(provider.refreshes(), 1)
    },
  )

  if (tested.name === 'PostgreSQL') {
    tested.test('a dump of the database holds no token that was ever issued', async (t) => {
      const provider = await startTokenProvider(t, { revokeStatus: 503 })
      const { config, ...rest } = await shared()
      const { vault, connect } = startVault(t, { config, ...rest }, createTestProvider(provider.url))
      const connection = await connect(provider.grant('1', -10))
      await vault.fresh(connection)
      const { id, subject } = await connect(provider.grant('2'))
      t.is(await vault.remove(id, subject), 'queued')
      const dump = await dumpDatabase(config.kind === 'postgres' ? config.url : '')
      t.true(dump.includes(connection.id))
      t.is(provider.issued.length, 6)
      t.deepEqual(secretsIn(dump, secretsOf(provider.issued)), [])
    })

    // What was removed is ended at its provider later, unless the account was connected again after that.
    tested.test('what waits for a removal to be over is younger than the removal', async (t) => {
      const provider = await startTokenProvider(t)
      let at = Date.now()
      const now = () => at
      const { connect, database } = startVault(t, await shared(), createTestProvider(provider.url), { now })
      const { id, subject } = await connect(provider.grant('42'))
      const lock = 'select pg_backend_pid() as pid from munjigi.connections where id = ? for update'
      const waiting = 'select 1 from pg_stat_activity where ? = any(pg_blocking_pids(pid))'
      const { storing } = await database.transaction(async (em) => {
        const [holder] = await em.execute<{ pid: number }[]>(lock, [id])
        const storing = connect(provider.grant('42'), subject)
        await until(async () => (await em.execute(waiting, [holder!.pid])).length > 0, 'the login waits')
        at += 60_000
        await em.execute('delete from munjigi.connections where id = ?', [id])
        return { storing }
      })
      t.is((await storing).createdAt.getTime(), at)
    })
  }
})

const secretsOf = (tokens: readonly string[]) => tokens.map((text) => ({ name: text, text }))
