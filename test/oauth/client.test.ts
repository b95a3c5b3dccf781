import test from 'ava'
import { dialectNames, type Misbehaviour, startDialects } from '../support/dialects.ts'
import { code, failure, login, provider } from '../support/provider.ts'
import { deadOrigin } from '../support/upstream.ts'

const misbehaviours: readonly (readonly [title: string, how: Misbehaviour, code: string])[] = [
  ['500', { status: 500 }, 'provider_unreachable'],
  ['503 with invalid_grant', { status: 503, body: { error: 'invalid_grant' } }, 'provider_unreachable'],
  ['429', { status: 429, body: { error: 'slow_down' } }, 'provider_refused'],
  ['a reset connection', 'reset', 'provider_unreachable'],
  ['HTML', 'html', 'provider_bad_response'],
  ['truncated JSON', 'truncated', 'provider_bad_response'],
  ['10 MB', 'huge', 'provider_bad_response'],
  ['a redirect', 'redirect', 'provider_bad_response'],
  ['the wrong content type', 'content-type', 'provider_bad_response'],
  ['members of wrong types', 'wrong-types', 'provider_bad_response'],
]

for (const name of dialectNames) {
  test(`${name}: nonsense from the token endpoint fails the exchange, and shows nothing`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    for (const [title, how, expected] of misbehaviours) {
      const request = await code(dialects, asked)
      dialects.misbehave(`${name}.token`, how)
      const secrets = [...dialects.issued, ...dialects.secrets, request.codeVerifier, request.state]
      const error = await failure(t, asked.exchange(request), secrets)
      t.is(error.code, expected as typeof error.code, title)
    }
    t.is(dialects.calls.elsewhere, undefined, 'the redirect was followed')
    for (const how of ['error-200', 'no-token', 'list'] as const) {
      const request = await code(dialects, asked)
      dialects.misbehave(`${name}.token`, how)
      const error = await failure(t, asked.exchange(request), [...dialects.issued, request.codeVerifier])
      t.is(error.code, how === 'error-200' ? 'provider_refused' : 'provider_bad_response', how)
      t.is(error.status, 502)
    }
  })

  test(`${name}: nonsense from the token endpoint fails the refresh without a word on the grant`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    for (const [title, how, expected] of misbehaviours) {
      dialects.misbehave(`${name}.token`, undefined)
      const { tokens } = await login(dialects, asked)
      dialects.misbehave(`${name}.token`, how)
      const error = await failure(t, asked.refresh(tokens), [...dialects.issued, ...dialects.secrets])
      t.is(error.code, expected as typeof error.code, title)
    }
  })

  test(`${name}: members that are null are as good as left out`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    const { tokens } = await login(dialects, asked)
    const nulls = { refresh_token: null, expires_in: null, scope: null, id_token: null, error: null }
    const body = { access_token: 'renewed', token_type: 'bearer', ...nulls }
    dialects.misbehave(`${name}.token`, { status: 200, body })
    const { accessToken, refreshToken } = await asked.refresh(tokens)
    t.deepEqual([accessToken, refreshToken], ['renewed', undefined])
  })

  test(`${name}: nonsense from the profile's endpoint fails the exchange`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    for (const [title, how, expected] of misbehaviours) {
      const request = await code(dialects, asked)
      dialects.misbehave(`${name}.profile`, how)
      const error = await failure(t, asked.exchange(request), dialects.issued)
      // Naver says no with a member of its own, which is missing here.
      const isNaver = name === 'naver' && how === 'wrong-types'
      t.is(error.code, (isNaver ? 'provider_refused' : expected) as typeof error.code, title)
    }
    t.is(dialects.calls.elsewhere, undefined, 'the redirect was followed')
  })

  test(`${name}: a provider that hangs, or stalls in its body, has timed out`, async (t) => {
    const dialects = await startDialects(t)
    const { tokens } = await login(dialects, provider(dialects.env(), name))
    const asked = provider(dialects.env(), name, { timeoutMs: 150 })
    for (const how of ['hang', 'stall'] as const) {
      dialects.misbehave(`${name}.token`, how)
      const error = await failure(t, asked.refresh(tokens), [...dialects.issued, ...dialects.secrets])
      t.is(error.code, 'provider_timeout')
      t.is(error.status, 504)
    }
  })
}

test('a provider where nobody listens is unreachable', async (t) => {
  const dialects = await startDialects(t)
  const { tokens } = await login(dialects, provider(dialects.env(), 'google'))
  const env = { ...dialects.env(), GOOGLE_TOKEN_URL: `${await deadOrigin()}/token` }
  const error = await failure(t, provider(env, 'google').refresh(tokens), dialects.issued)
  t.is(error.code, 'provider_unreachable')
})

test('a token reply that repeats the secret as its error code is not repeated', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'google')
  const begun = await code(dialects, asked)
  for (const sent of ['invalid', begun.code, dialects.house.clientSecret('google')]) {
    dialects.misbehave('google.token', { status: 400, body: { error: sent } })
    const error = await failure(t, asked.exchange({ ...begun, code: sent }), [...dialects.issued, sent])
    t.is(error.code, 'provider_refused')
  }
})

test("a provider's error code is told where it is one", async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'google')
  const begun = await code(dialects, asked)
  dialects.misbehave('google.token', { status: 401, body: { error: 'unauthorized_client' } })
  const error = await failure(t, asked.exchange(begun), dialects.issued)
  t.is(error.detail, 'Google has refused the exchange of the code (unauthorized_client).')
})

test('a code from another issuer is refused before anybody is asked', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'github')
  const begun = await code(dialects, asked)
  const error = await failure(
    t,
    asked.exchange({ ...begun, issuer: 'https://evil.example.com' }),
    dialects.issued,
  )
  t.is(error.code, 'invalid_request')
  t.is(dialects.calls['github.token'], undefined)
})

test('the redirect_uri is sent to the letter', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'google')
  const begun = await code(dialects, asked)
  await failure(t, asked.exchange({ ...begun, redirectUri: 'https://app.example.com' }), dialects.issued)
  t.is(dialects.requests.at(-1)!.parameters.get('redirect_uri'), 'https://app.example.com')
})

for (const [what, reply] of [
  ['cannot stand in a header', { access_token: 'a\nb', token_type: 'bearer' }],
  ['is of another type', { access_token: 'token', token_type: 'mac' }],
  ['lives for ever and a day', { access_token: 'token', token_type: 'bearer', expires_in: 1e300 }],
  ['has a life that is no number', { access_token: 'token', token_type: 'bearer', expires_in: 'soon' }],
] as const) {
  test(`a token that ${what} is not taken`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), 'google')
    const { tokens } = await login(dialects, asked)
    dialects.misbehave('google.token', { status: 200, body: reply })
    t.is((await failure(t, asked.refresh(tokens), dialects.issued)).code, 'provider_bad_response')
  })
}
