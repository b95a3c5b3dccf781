import { hash, randomBytes } from 'node:crypto'
import test from 'ava'
import { freshEmbedded } from '../support/database.ts'
import { dialectNames, startDialects } from '../support/dialects.ts'
import { secretsIn } from '../support/dump.ts'
import { bearer, startOAuthGateway } from '../support/oauth-gateway.ts'
import { shared, someone } from '../support/token-server.ts'

const app = 'https://app.example.com/back'

const world = shared(async (t) => {
  const dialects = await startDialects(t)
  const env = dialects.env()
  const gateway = await startOAuthGateway(t, await freshEmbedded(t), { ...env, OAUTH_REDIRECT_URIS: app })

  /** As a front end does it alone: the browser comes back to it with a code, and it knows what it has asked with. */
  async function bring(provider: string, subject = someone()) {
    const verifier = randomBytes(32).toString('base64url')
    const [state, nonce] = [randomBytes(9).toString('hex'), randomBytes(9).toString('hex')]
    const url = new URL(env[`${provider.toUpperCase()}_AUTHORIZATION_URL`]!)
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: env[`${provider.toUpperCase()}_CLIENT_ID`]!,
      redirect_uri: app,
      ...{ state, nonce, scope: 'openid email', access_type: 'offline', prompt: 'consent' },
      ...(provider === 'naver' || provider === 'facebook'
        ? {}
        : { code_challenge: hash('sha256', verifier, 'base64url'), code_challenge_method: 'S256' }),
    }).toString()
    const back = (await dialects.sayYes(url)).searchParams
    const headers = bearer(await gateway.tokenOf(subject))
    const usual = {
      ...{ provider, code: back.get('code'), redirect_uri: app, code_verifier: verifier, state, nonce },
      ...(back.get('iss') !== null && { iss: back.get('iss') }),
    }
    const connect = (body: object = {}) =>
      gateway.send('POST', '/oauth', { headers, body: { ...usual, ...body } })
    return { headers, subject, connect }
  }
  const rows = (subject: string) =>
    gateway.sql(`select id from munjigi.connections where subject = '${subject}'`)
  return { ...gateway, dialects, bring, rows }
})

for (const provider of dialectNames) {
  test(`${provider}: a code that a front end brings is connected, shown and removed`, async (t) => {
    const { bring, send, dialects, lines } = await world()
    const { headers, connect } = await bring(provider)
    const { status, json, text } = await connect()
    t.is(status, 201, text)
    t.like(json, { provider, state: 'active' })
    t.true(json.provider_user_id.endsWith(dialects.house.users[provider]!.id))
    t.true(dialects.issued.has(json.access_token))
    t.is((await send('GET', `/oauth/${json.id}`, { headers })).json.access_token, json.access_token)
    const removed = await send('DELETE', `/oauth/${json.id}`, { headers })
    t.true(['done', 'unsupported'].includes(removed.json.revocation), removed.text)
    const secrets = [...dialects.issued].map((secret, index) => ({ name: `secret ${index}`, text: secret }))
    t.deepEqual(secretsIn(JSON.stringify(lines), secrets), [])
  })
}

test('the same code a second time is invalid_grant, and the connection stays as it was', async (t) => {
  const { bring, rows } = await world()
  const { subject, connect } = await bring('google')
  t.is((await connect()).status, 201)
  const { status, json } = await connect()
  t.is(status, 400)
  t.like(json, { code: 'invalid_grant', error: 'invalid_grant' })
  t.is((await rows(subject)).length, 1)
})

for (const [provider, what, change] of [
  ['google', 'another code_verifier', { code_verifier: randomBytes(32).toString('base64url') }],
  ['google', 'another nonce', { nonce: 'another' }],
  ['google', 'the iss of another provider', { iss: 'https://evil.example.com' }],
  ['naver', 'another state', { state: 'another' }],
  ['kakao', 'another redirect URI, though an allowed one', { redirect_uri: undefined }],
] as const) {
  test(`${provider}: a code with ${what} connects nothing`, async (t) => {
    const { bring, rows } = await world()
    const { subject, connect } = await bring(provider)
    const { status, json, text } = await connect(change)
    t.true(status === 400 || status === 502, text)
    t.true(
      ['invalid_grant', 'invalid_request', 'provider_refused', 'provider_bad_response'].includes(json.code),
      text,
    )
    t.deepEqual(await rows(subject), [])
  })
}
