import { decodeJwt } from 'jose'
import { eachDatabase } from '../../support/database.ts'
import {
  asAuth,
  asNobody,
  basic,
  sharedTokenServer,
  someone,
  startTokenServer,
} from '../../support/token-server.ts'

eachDatabase(({ test, fresh }) => {
  const server = sharedTokenServer(fresh)
  async function signIn(subject = someone()) {
    const made = await server()
    const { json } = await made.post('/tokens/create', { subject })
    return { ...made, subject, pair: json, sessionId: String(decodeJwt(json.access_token).sid) }
  }

  test('a refresh token that is revoked ends its session with its access tokens', async (t) => {
    const { form, post, pair, inspect, denials, sessionId } = await signIn()
    const reply = await form('/tokens/revoke', `token=${pair.refresh_token}&token_type_hint=refresh_token`)
    t.is(reply.status, 200)
    t.is(reply.text, '')
    t.is(await inspect(pair.access_token), undefined)
    t.true(denials.isDenied(undefined, sessionId))
    const refused = await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
    t.is(refused.json.error, 'invalid_grant')
  })

  test('a refresh token that was used already still ends its session', async (t) => {
    const { post, pair, inspect } = await signIn()
    const next = await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
    await post('/tokens/revoke', { token: pair.refresh_token }, asNobody)
    t.is(await inspect(next.json.access_token), undefined)
  })

  test('an access token that is revoked ends alone', async (t) => {
    const { post, pair, inspect } = await signIn()
    t.is((await post('/tokens/revoke', { token: pair.access_token }, asNobody)).status, 200)
    t.is(await inspect(pair.access_token), undefined)
    const next = await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
    t.is(next.status, 200)
    t.truthy(await inspect(next.json.access_token))
  })

  test('denials are in the database, kept until the last token concerned has expired', async (t) => {
    const { post, pair, database, sessionId } = await signIn()
    await post('/tokens/revoke', { token: pair.access_token })
    await post('/tokens/revoke', { token: pair.refresh_token })
    const { jti, exp } = decodeJwt(pair.access_token)
    const rows = await database.run((em) =>
      em.execute<{ key: string; until: number }[]>(
        'select key, extract(epoch from expires_at)::float8 as until from munjigi.denials where key in (?, ?) order by key',
        [`jti:${jti}`, `sid:${sessionId}`],
      ),
    )
    t.deepEqual(
      rows.map(({ key }) => key),
      [`jti:${jti}`, `sid:${sessionId}`],
    )
    t.is(rows[0]?.until, exp)
    t.true(rows[1]!.until > exp!)
  })

  test('a denial outlives every access token of the session, wherever and whenever they were signed', async (t) => {
    const { post, pair, subject, database, sessionId, ...parts } = await signIn()
    // ACCESS_TOKEN_LIFETIME was lowered meanwhile, or is another at this replica.
    const config = { accessTokenLifetime: 1 }
    const replica = await startTokenServer(t, { database, ...parts }, { config })
    const until = async (id: string) => {
      const [row] = await database.run((em) =>
        em.execute<{ until: number }[]>(
          'select extract(epoch from expires_at)::float8 as until from munjigi.denials where key = ?',
          [`sid:${id}`],
        ),
      )
      return row?.until ?? 0
    }
    await replica.post('/tokens/revoke', { token: pair.refresh_token }, asNobody)
    const { exp = 0 } = decodeJwt(pair.access_token)
    t.true((await until(sessionId)) > exp)

    const { json } = await post('/tokens/create', { subject })
    const id = String(decodeJwt(json.access_token).sid)
    const past = `update munjigi.sessions set expires_at = now() - interval '10 minutes' where id = ?`
    await database.run((em) => em.execute(past, [id]))
    await replica.post('/tokens/revoke', { subject })
    t.true((await until(id)) > exp, 'though the session is past its end')
    t.is(await parts.inspect(json.access_token), undefined)
  })

  test('a client ends every session of a user, and of no other', async (t) => {
    const first = await signIn()
    const second = await signIn(first.subject)
    const other = await signIn()
    t.is((await first.post('/tokens/revoke', { subject: first.subject })).status, 200)
    t.is(await first.inspect(first.pair.access_token), undefined)
    t.is(await first.inspect(second.pair.access_token), undefined)
    t.truthy(await first.inspect(other.pair.access_token))
    const refused = await first.post(
      '/tokens/refresh',
      { refresh_token: second.pair.refresh_token },
      asNobody,
    )
    t.is(refused.status, 400)
    const { json } = await first.post('/tokens/create', { subject: first.subject })
    t.truthy(await first.inspect(json.access_token), 'they may sign in again')
  })

  test('nobody but a client ends the sessions of a user', async (t) => {
    const { post, subject, pair, inspect } = await signIn()
    for (const headers of [asNobody, { Authorization: `Bearer ${pair.access_token}` }]) {
      const { status, json } = await post('/tokens/revoke', { subject }, headers)
      t.is(status, 401)
      t.is(json.error, 'invalid_client')
    }
    t.is((await post('/tokens/revoke', { subject, client_id: 'auth' }, asNobody)).status, 401)
    t.truthy(await inspect(pair.access_token))
  })

  test('an unknown token is answered as a known one, whoever asks and whatever the hint', async (t) => {
    const { post } = await server()
    for (const token of ['A'.repeat(43), 'a.b.c', 'anything at all', '\0', '한국어']) {
      const { status, text } = await post('/tokens/revoke', { token, token_type_hint: 'nonsense' }, asAuth)
      t.is(status, 200)
      t.is(text, '')
    }
  })

  test('wrong credentials are refused though the token alone would do', async (t) => {
    const { post, pair, inspect } = await signIn()
    const { status } = await post('/tokens/revoke', { token: pair.access_token }, basic('auth', 'wrong'))
    t.is(status, 401)
    t.truthy(await inspect(pair.access_token))
  })

  test('many who revoke the same at once are all answered', async (t) => {
    const { post, subject, pair } = await signIn()
    await Promise.all(Array.from({ length: 4 }, () => signIn(subject)))
    const bodies = [{ subject }, { token: pair.refresh_token }, { token: pair.access_token }]
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, index) => post('/tokens/revoke', bodies[index % 3])),
    )
    t.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]))
  })
})
