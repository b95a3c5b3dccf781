import { decodeJwt } from 'jose'
import { introspectionSchema } from '../../../src/tokens/schemas.ts'
import { eachDatabase } from '../../support/database.ts'
import {
  asNobody,
  asShop,
  issuer,
  sharedTokenServer,
  someone,
  startTokenServer,
} from '../../support/token-server.ts'

eachDatabase(({ test, fresh }) => {
  const server = sharedTokenServer(fresh)
  async function signIn(body: Readonly<Record<string, unknown>> = {}) {
    const made = await server()
    const subject = someone()
    const { json } = await made.post('/tokens/create', { subject, ...body })
    return { ...made, subject, pair: json }
  }

  test('a client hears what an access token says', async (t) => {
    const { post, form, pair, subject } = await signIn({ scope: 'a b', claims: { plan: 'free' } })
    const { status, json } = await post('/tokens/verify', { token: pair.access_token }, asShop)
    t.is(status, 200)
    introspectionSchema.parse(json)
    const { exp, iat, jti } = decodeJwt(pair.access_token)
    t.deepEqual(json, {
      active: true,
      token_type: 'Bearer',
      sub: subject,
      client_id: 'auth',
      scope: 'a b',
      exp,
      iat,
      iss: issuer,
      aud: issuer,
      jti,
    })
    t.deepEqual((await form('/tokens/verify', `token=${pair.access_token}`, asShop)).json, json)
  })

  test('whoever bears an access token hears of that one and of no other', async (t) => {
    const { post, pair } = await signIn()
    const other = await signIn()
    const headers = { Authorization: `bearer ${pair.access_token}` }
    t.true((await post('/tokens/verify', { token: pair.access_token }, headers)).json.active)
    const refused = await post('/tokens/verify', { token: other.pair.access_token }, headers)
    t.is(refused.status, 401)
    t.is(refused.json.error, 'invalid_client')
    t.is(refused.headers.get('www-authenticate'), 'Basic realm="munjigi", charset="UTF-8"')
  })

  test('nobody in particular hears nothing', async (t) => {
    const { post, pair } = await signIn()
    for (const token of [pair.access_token, pair.refresh_token, 'x']) {
      t.is((await post('/tokens/verify', { token }, asNobody)).status, 401)
    }
  })

  test('a client hears of a refresh token as long as it can be used', async (t) => {
    const { post, pair, subject } = await signIn({ scope: 'a' })
    const ask = async () => (await post('/tokens/verify', { token: pair.refresh_token })).json
    const { exp, ...rest } = await ask()
    t.deepEqual(rest, {
      active: true,
      token_type: 'refresh_token',
      sub: subject,
      client_id: 'auth',
      scope: 'a',
    })
    t.true(Math.abs(exp - Date.now() / 1000 - 86_400) < 60)
    await post('/tokens/refresh', { refresh_token: pair.refresh_token })
    t.deepEqual(await ask(), { active: false })
  })

  test('who bears a refresh token is no client', async (t) => {
    const { post, pair } = await signIn()
    const headers = { Authorization: `Bearer ${pair.refresh_token}` }
    t.is((await post('/tokens/verify', { token: pair.refresh_token }, headers)).status, 401)
  })

  test('of anything that is not valid nothing is said but that', async (t) => {
    const { post, pair } = await signIn()
    const revoked = (await signIn()).pair
    await post('/tokens/revoke', { token: revoked.refresh_token })
    const [header, payload] = pair.access_token.split('.')
    const tokens = [
      revoked.access_token,
      revoked.refresh_token,
      `${header}.${payload}.${'A'.repeat(86)}`,
      `${header}.${payload}.`,
      'A'.repeat(43),
      'anything at all',
      '\0\ud800',
      'x'.repeat(60_000),
    ]
    for (const token of tokens) {
      const { status, text } = await post('/tokens/verify', { token, token_type_hint: 'refresh_token' })
      t.is(status, 200)
      t.is(text, '{"active":false}')
    }
  })

  test('with revocations unknown for too long an access token is answered with 503', async (t) => {
    const { post, pair, ...parts } = await signIn()
    const stale = await startTokenServer(t, { ...parts, denials: { ...parts.denials, isFresh: () => false } })
    const { status, json, headers } = await stale.post('/tokens/verify', { token: pair.access_token })
    t.is(status, 503)
    t.like(json, { code: 'token_state_unknown', error: 'temporarily_unavailable' })
    t.regex(headers.get('retry-after') ?? '', /^\d+$/)
    t.deepEqual((await stale.post('/tokens/verify', { token: 'x' })).json, { active: false })
  })
})
