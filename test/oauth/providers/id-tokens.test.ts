import test from 'ava'
import { UnsecuredJWT } from 'jose'
import { startDialects } from '../../support/dialects.ts'
import { attempt, code, failure, login, provider } from '../../support/provider.ts'

const now = () => Math.floor(Date.now() / 1000)

for (const [what, claims] of [
  ['another nonce', { nonce: 'another' }],
  ['no nonce', { nonce: undefined }],
  ['another audience', { aud: 'another-client' }],
  ['several audiences and no authorized party', { aud: ['google-client', 'another-client'] }],
  ['another authorized party', { aud: ['google-client', 'another'], azp: 'another' }],
  ['another issuer', { iss: 'https://evil.example.com' }],
  ['no issuer', { iss: undefined }],
  ['an end in the past', { exp: now() - 3600, iat: now() - 7200 }],
  ['no end', { exp: undefined }],
  ['no subject', { sub: undefined }],
  ['another subject than the profile', { sub: 'somebody-else' }],
] as const) {
  test(`an ID token with ${what} is not taken`, async (t) => {
    const dialects = await startDialects(t)
    dialects.house.switches.idTokenClaims = claims
    const error = await failure(t, login(dialects, provider(dialects.env(), 'google')), dialects.issued)
    t.is(error.code, 'provider_bad_response')
  })
}

for (const how of ['other-key', 'none', 'hmac'] as const) {
  test(`an ID token with a forged signature is not taken: ${how}`, async (t) => {
    const dialects = await startDialects(t)
    dialects.house.signer.forge(how)
    const error = await failure(t, login(dialects, provider(dialects.env(), 'google')), dialects.issued)
    t.is(error.code, 'provider_bad_response')
    t.is(dialects.calls['google.profile'], undefined)
  })
}

test('an ID token that is missing, though it was asked for, is not done without', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'google')
  const begun = await code(dialects, asked)
  dialects.misbehave('google.token', { status: 200, body: { access_token: 'token', token_type: 'Bearer' } })
  t.is((await failure(t, asked.exchange(begun), [])).code, 'provider_bad_response')
})

test('an ID token from Google may name it without scheme', async (t) => {
  const dialects = await startDialects(t)
  dialects.house.switches.idTokenClaims = { iss: 'accounts.google.com' }
  const { GOOGLE_ISSUER: _, ...env } = dialects.env('google')
  t.is((await login(dialects, provider(env, 'google'))).profile.id, dialects.house.users.google!.id)
})

test('a code that a front end brings without its nonce is exchanged', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'google')
  const { nonce: _, ...request } = await code(dialects, asked)
  t.is((await asked.exchange(request)).profile.name, '문지기')
})

test('the keys are asked for once, and keys that cannot be had fail the login', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'google')
  dialects.misbehave('google.jwks', { status: 503 })
  t.is((await failure(t, login(dialects, asked), dialects.issued)).code, 'provider_unreachable')
  dialects.misbehave('google.jwks', undefined)
  await login(dialects, asked)
  await login(dialects, asked)
  t.is(dialects.calls['google.jwks'], 2)
})

test("Microsoft's tenants are issuers of their own", async (t) => {
  const dialects = await startDialects(t)
  const { MICROSOFT_ISSUER: _, ...env } = dialects.env('microsoft')
  const asked = provider(env, 'microsoft')
  const tid = '11111111-2222-3333-4444-555555555555'
  dialects.house.switches.idTokenClaims = { tid, iss: `https://login.microsoftonline.com/${tid}/v2.0` }
  t.is((await login(dialects, asked)).profile.name, '문지기')
  dialects.house.switches.idTokenClaims = { tid, iss: 'https://login.microsoftonline.com/another/v2.0' }
  t.is((await failure(t, login(dialects, asked), dialects.issued)).code, 'provider_bad_response')
})

test('Kakao issues an ID token only where openid is asked for, and it is verified then', async (t) => {
  const dialects = await startDialects(t)
  const asked = provider({ ...dialects.env(), KAKAO_SCOPE: 'openid account_email' }, 'kakao')
  await login(dialects, asked)
  dialects.house.switches.idTokenClaims = { nonce: 'another' }
  t.is((await failure(t, login(dialects, asked), dialects.issued)).code, 'provider_bad_response')
  const url = await provider(dialects.env(), 'kakao').authorizationUrl(attempt())
  t.false(url.searchParams.has('nonce'))
})

test("a refresh that brings another user's ID token is not taken", async (t) => {
  const dialects = await startDialects(t)
  const asked = provider(dialects.env(), 'google')
  const { tokens, profile } = await login(dialects, asked)
  const answer = (sub: string) => {
    const body = {
      access_token: 'renewed',
      token_type: 'Bearer',
      id_token: new UnsecuredJWT({ sub }).encode(),
    }
    dialects.misbehave('google.token', { status: 200, body })
  }
  answer('somebody-else')
  t.is((await failure(t, asked.refresh(tokens, profile), dialects.issued)).code, 'provider_bad_response')
  answer(profile.id)
  t.is((await asked.refresh(tokens, profile)).accessToken, 'renewed')
})
