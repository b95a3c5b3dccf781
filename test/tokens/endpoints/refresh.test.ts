import { decodeJwt } from 'jose'
import { createPruner } from '../../../src/tokens/prune.ts'
import { eachDatabase } from '../../support/database.ts'
import {
  asAuth,
  asNobody,
  asShop,
  basic,
  issuer,
  sharedTokenServer,
  someone,
  startTokenServer,
} from '../../support/token-server.ts'

const invalidGrant = {
  error: 'invalid_grant',
  error_description: 'The refresh token is not valid: unknown, expired, used before or revoked.',
  code: 'invalid_grant',
}

eachDatabase(({ name, test, fresh }) => {
  const server = sharedTokenServer(fresh)
  async function signIn(body: Readonly<Record<string, unknown>> = {}) {
    const made = await server()
    const subject = someone()
    const { json } = await made.post('/tokens/create', { subject, ...body })
    const { sid } = decodeJwt(json.access_token)
    return { ...made, subject, pair: json, sessionId: String(sid) }
  }

  test('a refresh token gives the next pair of the same session', async (t) => {
    const { post, verifier, pair, subject, sessionId } = await signIn({
      scope: 'a b',
      claims: { plan: 'free' },
    })
    const { status, json } = await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
    t.is(status, 200)
    t.like(json, { token_type: 'Bearer', expires_in: 900, scope: 'a b' })
    t.not(json.refresh_token, pair.refresh_token)
    const { claims } = await verifier.verify(json.access_token)
    t.like(claims, { sub: subject, sid: sessionId, client_id: 'auth', scope: 'a b', plan: 'free' })
    t.not(claims.jti, decodeJwt(pair.access_token).jti)
    t.is((await post('/tokens/refresh', { refresh_token: json.refresh_token }, asNobody)).status, 200)
  })

  const many = name === 'PGlite' ? 20 : 100
  test(`of ${many} parallel refreshes of one token exactly one succeeds, and the session ends`, async (t) => {
    const { post, pair, sessionId, denials, lines } = await signIn()
    const body = { refresh_token: pair.refresh_token, grant_type: 'refresh_token' }
    const replies = await Promise.all(
      Array.from({ length: many }, () => post('/tokens/refresh', body, asNobody)),
    )
    const [winner, ...more] = replies.filter(({ status }) => status === 200)
    t.is(more.length, 0)
    t.true(replies.every(({ status }) => status === 200 || status === 400))
    const again = await post('/tokens/refresh', { refresh_token: winner?.json.refresh_token }, asNobody)
    t.like(again.json, invalidGrant)
    t.true(denials.isDenied(undefined, sessionId))
    t.is(lines.filter(({ fields }) => fields.sessionId === sessionId).length, 1)
  })

  test('a token that was used before ends its session, said to the log and to nobody else', async (t) => {
    const { post, pair, sessionId, denials, inspect, lines } = await signIn()
    const next = await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
    t.truthy(await inspect(next.json.access_token))
    const reuse = await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
    t.is(reuse.status, 400)
    t.like(reuse.json, invalidGrant)
    t.true(denials.isDenied(undefined, sessionId))
    t.is(await inspect(next.json.access_token), undefined)
    t.is((await post('/tokens/refresh', { refresh_token: next.json.refresh_token }, asNobody)).status, 400)
    const line = lines.find(({ fields }) => fields.sessionId === sessionId)
    t.like(line, { level: 'warn', fields: { clientId: 'auth' } })
    t.false(JSON.stringify(lines).includes(pair.refresh_token))
  })

  test('an expired, an unknown and a malformed token are told apart by nobody', async (t) => {
    const { post, pair, sessionId, database, lines } = await signIn()
    await database.run((em) =>
      em.execute(`update munjigi.refresh_tokens set expires_at = now() where session_id = ?`, [sessionId]),
    )
    for (const token of [pair.refresh_token, 'A'.repeat(43), pair.access_token, "' or 1=1 --", '한국어']) {
      const { status, json } = await post('/tokens/refresh', { refresh_token: token }, asNobody)
      t.is(status, 400)
      t.like(json, { ...invalidGrant, detail: invalidGrant.error_description })
    }
    t.false(lines.some(({ fields }) => fields.sessionId === sessionId))
  })

  test('a second use at a replica with a shorter lifetime denies the access token to its end', async (t) => {
    const { post, pair, sessionId, ...parts } = await signIn()
    const { exp = 0 } = decodeJwt(pair.access_token)
    const replica = await startTokenServer(t, parts, { config: { accessTokenLifetime: 1 } })
    for (const status of [200, 400]) {
      const reply = await replica.post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
      t.is(reply.status, status)
    }
    const rows = await parts.database.run((em) =>
      em.execute('select from munjigi.denials where key = ? and expires_at > to_timestamp(?)', [
        `sid:${sessionId}`,
        exp,
      ]),
    )
    t.is(rows.length, 1)
  })

  test('a session is for the gateway under the name that the gateway has now', async (t) => {
    const { post, pair, ...parts } = await signIn()
    const { json } = await post('/tokens/create', { subject: someone(), audience: issuer })
    const renamed = await startTokenServer(t, parts, { config: { audience: 'https://new.example.com' } })
    const refreshed = async (refreshToken: string) => {
      const next = await renamed.post('/tokens/refresh', { refresh_token: refreshToken }, asNobody)
      return decodeJwt(next.json.access_token).aud
    }
    t.is(decodeJwt(pair.access_token).aud, issuer)
    t.is(await refreshed(pair.refresh_token), 'https://new.example.com')
    t.is(await refreshed(json.refresh_token), issuer, 'an audience that was asked for stays')
  })

  test('a used token is remembered for a week, so that its second use ends the session', async (t) => {
    const { post, pair, sessionId, database, denials } = await signIn()
    await database.run((em) =>
      em.execute(
        `update munjigi.refresh_tokens set expires_at = now() + interval '30 days' where session_id = ?`,
        [sessionId],
      ),
    )
    const body = { refresh_token: pair.refresh_token }
    t.is((await post('/tokens/refresh', body, asNobody)).status, 200)
    const days = await database.run((em) =>
      em.execute<{ days: number }[]>(
        `select round(extract(epoch from expires_at - used_at) / 86400)::int as days from munjigi.refresh_tokens
          where session_id = ? and used_at is not null`,
        [sessionId],
      ),
    )
    t.deepEqual(
      days.map((row) => row.days),
      [7],
    )
    await database.run((em) =>
      em.execute(
        `update munjigi.refresh_tokens set used_at = now() - interval '8 days', expires_at = now() - interval '1 day'
          where session_id = ? and used_at is not null`,
        [sessionId],
      ),
    )
    const silent = { debug() {}, info() {}, warn() {}, error() {} }
    t.is(await createPruner({ database, log: silent }).prune(), 1)
    t.like((await post('/tokens/refresh', body, asNobody)).json, invalidGrant)
    t.false(denials.isDenied(undefined, sessionId), 'then it is a token that nobody knows')
  })

  test('a session that is past its end cannot be refreshed', async (t) => {
    const { post, pair, sessionId, database } = await signIn()
    await database.run((em) =>
      em.execute(`update munjigi.sessions set expires_at = now() where id = ?`, [sessionId]),
    )
    t.like(
      (await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)).json,
      invalidGrant,
    )
  })

  test("no refresh token lives longer than its session's end", async (t) => {
    const { post, pair, sessionId, database } = await signIn()
    await database.run((em) =>
      em.execute(`update munjigi.sessions set expires_at = now() + interval '1 minute' where id = ?`, [
        sessionId,
      ]),
    )
    await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)
    const [row] = await database.run((em) =>
      em.execute(
        `select count(*)::int as tokens, bool_or(t.expires_at = s.expires_at) as capped
          from munjigi.refresh_tokens t join munjigi.sessions s on s.id = t.session_id where s.id = ?`,
        [sessionId],
      ),
    )
    t.deepEqual({ ...row }, { tokens: 2, capped: true })
  })

  test("a client that says who it is must be the session's own, and another one uses nothing up", async (t) => {
    const { post, pair } = await signIn()
    const body = { refresh_token: pair.refresh_token }
    t.like((await post('/tokens/refresh', body, asShop)).json, invalidGrant)
    t.like((await post('/tokens/refresh', { ...body, client_id: 'shop' }, asNobody)).json, invalidGrant)
    t.like((await post('/tokens/refresh', body, basic('auth', 'wrong'))).json, { error: 'invalid_client' })
    t.is((await post('/tokens/refresh', { ...body, client_id: 'auth' }, asAuth)).status, 200)
  })

  test('fewer scopes may be asked for, for the one access token', async (t) => {
    const { post, form, pair } = await signIn({ scope: 'a b c' })
    const narrow = await post(
      '/tokens/refresh',
      { refresh_token: pair.refresh_token, scope: 'c a' },
      asNobody,
    )
    t.is(narrow.json.scope, 'c a')
    t.is(decodeJwt(narrow.json.access_token).scope, 'c a')
    const whole = await post('/tokens/refresh', { refresh_token: narrow.json.refresh_token }, asNobody)
    t.is(whole.json.scope, 'a b c')
    const empty = { refresh_token: whole.json.refresh_token, scope: '' }
    const asJson = await post('/tokens/refresh', empty, asNobody)
    t.is(asJson.json.scope, 'a b c', 'an empty one is none that was asked for')
    const asForm = await form('/tokens/refresh', `refresh_token=${asJson.json.refresh_token}&scope=`)
    t.is(asForm.json.scope, 'a b c')
  })

  test('another grant type is not supported, and is told so', async (t) => {
    const { post, form, pair } = await signIn()
    for (const type of ['password', 'authorization_code', 'REFRESH_TOKEN']) {
      const replies = [
        await post('/tokens/refresh', { grant_type: type, refresh_token: pair.refresh_token }, asNobody),
        await post('/tokens/refresh', { grant_type: type, username: 'a', password: 'b' }, asNobody),
        await form('/tokens/refresh', `grant_type=${type}&refresh_token=${pair.refresh_token}`),
      ]
      for (const { status, json } of replies) {
        t.is(status, 400)
        t.like(json, { code: 'unsupported_grant_type', error: 'unsupported_grant_type' })
      }
    }
    for (const type of [7, ['refresh_token'], '', null]) {
      const body = { grant_type: type, refresh_token: pair.refresh_token }
      t.is((await post('/tokens/refresh', body, asNobody)).json.error, 'invalid_request')
    }
    t.is((await post('/tokens/refresh', { refresh_token: pair.refresh_token }, asNobody)).status, 200)
  })

  test('more scopes than the session has are refused, and the token stays good', async (t) => {
    const { post, pair } = await signIn({ scope: 'a' })
    const body = { refresh_token: pair.refresh_token }
    const refused = await post('/tokens/refresh', { ...body, scope: 'a admin' }, asNobody)
    t.is(refused.status, 400)
    t.is(refused.json.error, 'invalid_scope')
    t.is((await post('/tokens/refresh', body, asNobody)).status, 200)
  })
})
