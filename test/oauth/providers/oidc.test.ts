import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { startDemoProvider } from '../../../scripts/demo-provider.ts'
import { withDemoProvider } from '../../../scripts/demo-settings.ts'
import { logInAtDemoProvider } from '../../support/demo-login.ts'
import { attempt, callback, failure, provider } from '../../support/provider.ts'

/** A real provider: PKCE is required, refresh tokens are rotated, and a client shows its secret by Basic. */
async function demo(t: ExecutionContext) {
  const upstream = await startDemoProvider({ port: 0, host: '127.0.0.1', redirectUris: [callback] })
  t.teardown(() => upstream.stop())
  const env = withDemoProvider({}, upstream.issuer) as Record<string, string>
  const asked = provider(env, 'demo')
  return {
    upstream,
    env,
    asked,
    async code() {
      const begun = attempt()
      const back = await logInAtDemoProvider(await asked.authorizationUrl(begun), { name: 'Mun Ji' })
      const parameter = (name: string) => back.searchParams.get(name) ?? undefined
      return { ...begun, code: parameter('code') ?? '', issuer: parameter('iss') }
    },
  }
}

test('a login at a real provider gives tokens and a profile', async (t) => {
  const { asked, code } = await demo(t)
  const { tokens, profile } = await asked.exchange(await code())
  t.is(profile.name, 'Mun Ji')
  t.is(profile.email, 'mun.ji@example.com')
  t.true(profile.emailVerified)
  t.true(asked.canRefresh(tokens))
  t.is(asked.keepAliveAt(tokens, 0), undefined)
})

test('refresh tokens are rotated, and one that was used before is dead', async (t) => {
  const { asked, code } = await demo(t)
  const { tokens } = await asked.exchange(await code())
  const renewed = await asked.refresh(tokens)
  t.not(renewed.refreshToken, tokens.refreshToken)
  t.not(renewed.accessToken, tokens.accessToken)
  t.is((await failure(t, asked.refresh(tokens), [tokens.refreshToken!])).code, 'invalid_grant')
})

test('a code with another verifier is not good', async (t) => {
  const { asked, code } = await demo(t)
  const request = { ...(await code()), codeVerifier: attempt().codeVerifier }
  t.is((await failure(t, asked.exchange(request), [request.code])).code, 'invalid_grant')
})

test('a callback without iss is refused where the issuer announces it', async (t) => {
  const { asked, code } = await demo(t)
  const { issuer, ...request } = await code()
  t.not(issuer, undefined)
  t.is((await failure(t, asked.exchange(request), [request.code])).code, 'invalid_request')
})

test('a code that a front end brings without nonce and iss is exchanged', async (t) => {
  const { asked, code } = await demo(t)
  const { issuer: _, nonce: __, ...request } = await code()
  t.is((await asked.exchange(request)).profile.name, 'Mun Ji')
})

test('a grant is ended', async (t) => {
  const { asked, code } = await demo(t)
  const { tokens, profile } = await asked.exchange(await code())
  t.is(await asked.revoke(tokens, profile), 'done')
  t.is((await failure(t, asked.refresh(tokens), [tokens.refreshToken!])).code, 'invalid_grant')
  t.is(await asked.revoke(tokens, profile), 'done')
})

test('an issuer that is away is asked again the next time, and only once an hour when it has answered', async (t) => {
  let asked = 0
  let isAway = true
  const server = createServer((_request, response) => {
    asked += 1
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    response.writeHead(isAway ? 503 : 200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify({ issuer: url, authorization_endpoint: `${url}/auth`, token_endpoint: `${url}/token` }),
    )
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  t.teardown(() => server.close())
  let now = Date.now()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const env = { OIDC_PROVIDERS: 'corp', OIDC_CORP_ISSUER: url, OIDC_CORP_CLIENT_ID: 'munjigi' }
  const corp = provider(env, 'corp', { now: () => now })
  t.is((await failure(t, corp.authorizationUrl(attempt()), [])).code, 'provider_unreachable')
  isAway = false
  await Promise.all([corp.authorizationUrl(attempt()), corp.authorizationUrl(attempt())])
  await corp.authorizationUrl(attempt())
  t.is(asked, 2)
  now += 3_600_001
  isAway = true
  // What is known stays, while it is asked again.
  const answered = new Promise((finished) =>
    server.once('request', (_, reply) => reply.once('finish', finished)),
  )
  t.is((await corp.authorizationUrl(attempt())).pathname, '/auth')
  await answered
  t.is(asked, 3)
  t.is((await corp.authorizationUrl(attempt())).pathname, '/auth')
})

test('an issuer that describes another one is not believed', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const url = 'https://evil.example.com'
    response.end(JSON.stringify({ issuer: url, authorization_endpoint: url, token_endpoint: url }))
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const env = { OIDC_PROVIDERS: 'corp', OIDC_CORP_ISSUER: url, OIDC_CORP_CLIENT_ID: 'munjigi' }
  t.is(
    (await failure(t, provider(env, 'corp').authorizationUrl(attempt()), [])).code,
    'provider_bad_response',
  )
})
