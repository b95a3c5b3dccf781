import test from 'ava'
import { startDialects } from '../../support/dialects.ts'
import { attempt, callback, code, failure, login, provider } from '../../support/provider.ts'

const day = 24 * 60 * 60

for (const [name, scope, extra] of [
  ['google', 'openid email profile', { access_type: 'offline', prompt: 'consent' }],
  ['facebook', 'public_profile,email', {}],
  ['github', 'read:user user:email', {}],
  ['naver', null, {}],
  ['kakao', null, {}],
  ['microsoft', 'openid profile email offline_access', { prompt: null }],
] as const) {
  test(`${name}: a browser is sent with what the provider takes`, async (t) => {
    const dialects = await startDialects(t)
    const begun = attempt()
    const { searchParams } = await provider(dialects.env(), name).authorizationUrl(begun)
    t.is(searchParams.get('scope'), scope)
    t.is(searchParams.get('client_id'), `${name}-client`)
    t.is(searchParams.get('response_type'), 'code')
    t.is(searchParams.get('redirect_uri'), callback)
    t.is(searchParams.get('state'), begun.state)
    t.is(searchParams.get('nonce'), ['google', 'microsoft'].includes(name) ? begun.nonce : null)
    const takesPkce = !['facebook', 'naver'].includes(name)
    t.is(searchParams.get('code_challenge_method'), takesPkce ? 'S256' : null)
    t.is(searchParams.get('code_challenge')?.length, takesPkce ? 43 : undefined)
    for (const [key, value] of Object.entries(extra)) t.is(searchParams.get(key), value)
  })
}

for (const name of ['google', 'github', 'kakao', 'microsoft']) {
  test(`${name}: a code without its verifier is no good`, async (t) => {
    const dialects = await startDialects(t)
    const asked = provider(dialects.env(), name)
    const { codeVerifier: _, ...request } = await code(dialects, asked)
    await failure(t, asked.exchange(request), dialects.issued)
    t.is(dialects.calls[`${name}.profile`], undefined)
  })
}

test('Naver is given the state with the code', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'naver')
  const { state: _, ...request } = await code(dialects, asked)
  t.is((await failure(t, asked.exchange(request), dialects.issued)).code, 'provider_refused')
})

test('Naver says how long a token lives as a string, and what it has is sent as it is', async (t) => {
  const dialects = await startDialects(t)
  const { tokens } = await login(dialects, provider(dialects.env(), 'naver', { now: () => 1_000_000 }))
  t.is(tokens.expiresAt, 1000 + 3600)
  t.regex(tokens.accessToken, /\+.*\/.*=/)
})

test('Kakao gives a new refresh token in the last month of the old one only', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'kakao')
  const { tokens } = await login(dialects, asked)
  t.is((await asked.refresh(tokens)).refreshToken, undefined)
  dialects.house.switches.kakaoLastMonth = true
  t.not((await asked.refresh(tokens)).refreshToken, tokens.refreshToken)
  t.is((await failure(t, asked.refresh(tokens), dialects.issued)).code, 'invalid_grant')
})

test("Kakao's grant is ended although the access token has expired", async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'kakao')
  const { tokens, profile } = await login(dialects, asked)
  const expired = { ...tokens, accessToken: 'one-that-has-expired' }
  t.is(await asked.revoke(expired, profile), 'done')
  t.is((await failure(t, asked.refresh(tokens), dialects.issued)).code, 'invalid_grant')
})

test("Kakao's grant is ended with the admin key where there is one", async (t) => {
  const dialects = await startDialects(t)
  const asked = provider({ ...dialects.env(), KAKAO_ADMIN_KEY: 'kakao-admin-key' }, 'kakao')
  const { tokens, profile } = await login(dialects, asked)
  t.is(await asked.revoke(tokens, profile), 'done')
  t.is(dialects.requests.at(-1)!.headers.authorization, 'KakaoAK kakao-admin-key')
  t.is((await failure(t, asked.refresh(tokens), dialects.issued)).code, 'invalid_grant')
})

test('GitHub separates scopes with commas, which become spaces', async (t) => {
  const dialects = await startDialects(t)
  const { tokens } = await login(dialects, provider(dialects.env(), 'github'))
  t.is(tokens.scope, 'read:user user:email')
})

test("GitHub's tokens of an OAuth App do not expire, and cannot be renewed", async (t) => {
  const dialects = await startDialects(t)
  dialects.house.switches.githubApp = false
  const asked = provider(dialects.env(), 'github')
  const { tokens } = await login(dialects, asked)
  t.is(tokens.expiresAt, undefined)
  t.false(asked.canRefresh(tokens))
  t.is(asked.keepAliveAt(tokens, 0), undefined)
})

test('GitHub may answer form-encoded', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'github')
  const begun = await code(dialects, asked)
  dialects.house.switches.githubForm = true
  t.is((await asked.exchange(begun)).tokens.scope, 'read:user user:email')
})

test('GitHub is done without an address where it was not granted', async (t) => {
  const dialects = await startDialects(t)
  const { profile } = await login(
    dialects,
    provider({ ...dialects.env(), GITHUB_SCOPE: 'read:user' }, 'github'),
  )
  t.is(profile.email, undefined)
  t.false(profile.emailVerified)
})

test('Facebook gives a token for 60 days, for which it is asked at once', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'facebook', { now: () => 0 })
  const { tokens } = await login(dialects, asked)
  t.is(tokens.expiresAt, 60 * day)
  t.is(tokens.refreshToken, undefined)
  t.is(dialects.calls['facebook.token'], 2)
})

test("a token of another application's is not taken from Facebook", async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'facebook')
  const body = { data: { app_id: 'another', is_valid: true } }
  dialects.misbehave('facebook.debug', { status: 200, body })
  t.is((await failure(t, login(dialects, asked), dialects.issued)).code, 'provider_bad_response')
  t.is(dialects.calls['facebook.profile'], undefined)
})

test("Facebook's calls carry the proof of the secret", async (t) => {
  const dialects = await startDialects(t)
  await login(dialects, provider(dialects.env(), 'facebook'))
  const profile = dialects.requests.find(({ endpoint }) => endpoint === 'facebook.profile')
  t.regex(profile!.parameters.get('appsecret_proof') ?? '', /^[0-9a-f]{64}$/)
})

test('tokens that would die of disuse are renewed well before', async (t) => {
  const dialects = await startDialects(t)
  const days = async (name: string) => {
    const asked = provider(dialects.env(), name, { now: () => 0 })
    const at = asked.keepAliveAt((await login(dialects, asked)).tokens, 0)
    return at === undefined ? undefined : at / day
  }
  t.is(await days('google'), 90)
  t.is(await days('github'), 90)
  t.is(await days('kakao'), 20)
  t.is(await days('facebook'), 30)
  t.is(await days('microsoft'), 30)
  t.is(await days('naver'), undefined)
})

test('Microsoft has no way to end a grant', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'microsoft')
  const { tokens, profile } = await login(dialects, asked)
  t.is(await asked.revoke(tokens, profile), 'unsupported')
})
