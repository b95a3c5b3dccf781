import { connectionListSchema } from '../../src/oauth/schemas.ts'
import { eachDatabase } from '../support/database.ts'
import { secretsIn } from '../support/dump.ts'
import { asClient, publicUrl, startOAuthGateway } from '../support/oauth-gateway.ts'
import { json, startScriptedProvider } from '../support/scripted-provider.ts'
import { shared } from '../support/token-server.ts'

eachDatabase(({ test, fresh }) => {
  const world = shared(async (t) => {
    const provider = await startScriptedProvider(t)
    const gateway = await startOAuthGateway(t, await fresh(t), {
      ...provider.env,
      OAUTH_PROVIDER_TIMEOUT: '10s',
    })
    const { connected, sql } = gateway

    /** A user with so many accounts. */
    async function user(accounts: number) {
      const codes = Array.from({ length: accounts }, () => provider.code())
      return {
        ...(await connected(
          'kakao',
          codes.map(({ code }) => code),
        )),
        codes,
      }
    }
    const expire = (ids: readonly string[]) =>
      sql(`update munjigi.connections set expires_at = now() - interval '1 minute'
        where id in (${ids.map((id) => `'${id}'`).join()})`)
    return { ...gateway, provider, user, expire }
  })
  const dead = json({ error: 'invalid_grant', error_code: 'KOE322' }, 400)
  const away = json({ error: 'server_error' }, 503)
  const idsOf = (connections: readonly { id: string }[]) => connections.map(({ id }) => id)

  test('pages have every connection once, newest first, also of those made at the same moment', async (t) => {
    const { user, send, sql } = await world()
    const { subject, headers, ids } = await user(7)
    await sql(`update munjigi.connections set created_at = '2025-11-23T09:00:00.123Z' where subject = '${subject}'
      and id not in ('${ids[0]}', '${ids[6]}')`)
    await sql(`update munjigi.connections set created_at = '2020-01-01T00:00:00Z' where id = '${ids[0]}'`)
    const seen: string[] = []
    let after = ''
    for (let page = 1; page <= 4; page++) {
      const { status, json } = await send('GET', `/oauth?limit=2${after}`, { headers })
      t.is(status, 200)
      connectionListSchema.strict().parse(json)
      t.is(json.connections.length, page < 4 ? 2 : 1)
      t.is('next' in json, page < 4)
      seen.push(...idsOf(json.connections))
      after = `&after=${json.next}`
    }
    t.deepEqual(seen.toSorted(), ids.toSorted())
    t.is(seen[0], ids[6])
    t.is(seen[6], ids[0])
  })

  test('a page goes on where it ended, whatever was added meanwhile, and for its own user only', async (t) => {
    const { user, send } = await world()
    const [one, other] = [await user(3), await user(1)]
    const first = (await send('GET', '/oauth?limit=2', one)).json
    t.deepEqual(idsOf(first.connections), [one.ids[2], one.ids[1]])
    const rest = await send('GET', `/oauth?after=${first.next}`, one)
    t.deepEqual(idsOf(rest.json.connections), [one.ids[0]])
    const strangers = await send('GET', `/oauth?after=${first.next}`, other)
    t.is(strangers.status, 200)
    t.false(strangers.text.includes(one.ids[0]!))
  })

  test('a list is of one provider where it is asked for, and empty for one that nobody has', async (t) => {
    const { user, send } = await world()
    const { headers, ids } = await user(1)
    t.deepEqual(idsOf((await send('GET', '/oauth?provider=kakao', { headers })).json.connections), ids)
    t.deepEqual((await send('GET', '/oauth?provider=google', { headers })).json, { connections: [] })
  })

  test('a token that has expired is refreshed before it is shown, alone and in a list', async (t) => {
    const { user, send, expire } = await world()
    const { headers, ids, codes } = await user(6)
    await expire(ids)
    const one = (await send('GET', `/oauth/${ids[0]}`, { headers })).json
    t.not(one.access_token, codes[0]!.accessToken)
    t.truthy(one.last_refreshed_at)
    const { connections } = (await send('GET', '/oauth', { headers })).json
    t.is(connections.length, 6)
    for (const { id, access_token: token, expires_in: expiresIn } of connections) {
      t.not(token, codes[ids.indexOf(id)]!.accessToken)
      t.true(expiresIn > 20_000)
    }
    t.is(connections.find(({ id }: { id: string }) => id === ids[0]).access_token, one.access_token)
  })

  test('the provider being away is told of the one, and spoils nothing of the others in a list', async (t) => {
    const { user, send, expire, provider } = await world()
    const { headers, ids, codes } = await user(3)
    await expire(ids)
    provider.answerRefreshes(codes[1]!.account, away)
    const { status, json } = await send('GET', '/oauth', { headers })
    t.is(status, 200)
    const [newest, late, oldest] = json.connections
    for (const { access_token: token, error } of [newest, oldest]) {
      t.truthy(token)
      t.is(error, undefined)
    }
    t.like(late, { id: ids[1], state: 'active' })
    t.is(late.access_token, undefined)
    t.regex(late.error, /^(provider_\w+|refresh_postponed)$/)
    const one = await send('GET', `/oauth/${ids[1]}`, { headers })
    t.true([502, 503].includes(one.status), one.text)
    t.regex(one.json.code, /^(provider_\w+|refresh_postponed)$/)
  })

  test('where the provider has ended the grant, the user is told where to log in again', async (t) => {
    const { user, send, expire, provider } = await world()
    const { headers, ids, codes } = await user(1)
    const login = { login_url: `${publicUrl}/oauth/kakao/login` }
    await expire(ids)
    provider.answerRefreshes(codes[0]!.account, dead)
    for (let turn = 0; turn < 2; turn++) {
      const one = await send('GET', `/oauth/${ids[0]}`, { headers })
      t.is(one.status, 200, one.text)
      t.like(one.json, { state: 'needs_reauth', ...login })
      t.false('access_token' in one.json)
      const { json } = await send('GET', '/oauth', { headers })
      t.like(json.connections[0], { id: ids[0], state: 'needs_reauth', ...login })
      t.false('error' in json.connections[0])
      const refreshed = await send('POST', `/oauth/${ids[0]}/refresh`, { headers })
      t.is(refreshed.status, 409)
      t.like(refreshed.json, { code: 'reauthorization_required', ...login })
    }
  })

  test('what was removed is gone at once, twice is 404, and the provider is told', async (t) => {
    const { user, send, provider, sql } = await world()
    const { headers, ids, codes } = await user(1)
    const before = provider.askedAbout(codes[0]!.account)
    const removed = await send('DELETE', `/oauth/${ids[0]}`, { headers })
    t.is(removed.status, 200)
    t.deepEqual(removed.json, { id: ids[0], revocation: 'done' })
    t.true(provider.askedAbout(codes[0]!.account) > before)
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/refresh'],
      ['DELETE', ''],
    ] as const) {
      t.is((await send(method, `/oauth/${ids[0]}${path}`, { headers })).status, 404)
    }
    t.deepEqual(await sql(`select * from munjigi.connections where id = '${ids[0]}'`), [])
  })

  test('no reply and no log line has a refresh token, nor a log line any token', async (t) => {
    const { user, send, expire, provider, lines, access } = await world()
    const { subject, headers, ids, codes } = await user(1)
    const [{ code, accessToken, refreshToken, account }] = codes as [(typeof codes)[number]]
    const texts: string[] = []
    for (const path of ['/oauth', `/oauth/${ids[0]}`]) {
      texts.push((await send('GET', path, { headers })).text)
      texts.push((await send('GET', `${path}?subject=${subject}`, { headers: asClient })).text)
    }
    texts.push((await send('POST', `/oauth/${ids[0]}/refresh`, { headers })).text)
    await expire(ids)
    provider.answerRefreshes(account, dead)
    texts.push((await send('GET', `/oauth/${ids[0]}`, { headers })).text)
    texts.push((await send('DELETE', `/oauth/${ids[0]}`, { headers })).text)
    const never = [
      { name: 'code', text: code },
      { name: 'refresh token', text: refreshToken },
      { name: 'client secret', text: provider.secret },
    ]
    t.deepEqual(secretsIn(texts.join('\n'), never), [])
    const tokens = [
      { name: 'access token', text: accessToken },
      { name: 'gateway token', text: headers.authorization!.slice('Bearer '.length) },
    ]
    t.true(texts[0]!.includes(accessToken))
    t.deepEqual(secretsIn(JSON.stringify([lines, access]), [...never, ...tokens]), [])
  })
})
