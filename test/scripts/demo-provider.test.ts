import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import * as openid from 'openid-client'
import {
  type DemoProvider,
  type DemoProviderOptions,
  startDemoProvider,
} from '../../scripts/demo-provider.ts'
import {
  type CookieClient,
  cookieClient,
  type DemoAnswer,
  logInAtDemoProvider,
} from '../support/demo-login.ts'
import { freePort } from '../support/ports.ts'

const redirectUri = 'http://localhost:8080/oauth/demo/callback'

async function start(t: ExecutionContext, given: Partial<DemoProviderOptions> = {}): Promise<DemoProvider> {
  const demo = await startDemoProvider({ port: 0, host: '127.0.0.1', redirectUris: [redirectUri], ...given })
  t.teardown(demo.stop)
  return demo
}

function discover({ issuer, client }: DemoProvider): Promise<openid.Configuration> {
  return openid.discovery(new URL(issuer), client.id, undefined, openid.ClientSecretBasic(client.secret), {
    execute: [openid.allowInsecureRequests],
  })
}

interface Attempt {
  readonly scope?: string
  readonly answer?: DemoAnswer
  readonly browser?: CookieClient
  readonly pkce?: boolean
  readonly parameters?: Readonly<Record<string, string>>
}

/** A whole login by a client that is not ours. */
async function logIn(config: openid.Configuration, attempt: Attempt = {}) {
  const { scope = 'openid profile email', answer, browser, pkce = true, parameters } = attempt
  const verifier = openid.randomPKCECodeVerifier()
  const [state, nonce] = [openid.randomState(), openid.randomNonce()]
  const url = openid.buildAuthorizationUrl(config, {
    ...{ redirect_uri: redirectUri, scope, state, nonce, ...parameters },
    ...(pkce && {
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }),
  })
  const back = await logInAtDemoProvider(url, answer, browser)
  return openid.authorizationCodeGrant(config, back, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  })
}

const userInfo = async (config: openid.Configuration, tokens: Awaited<ReturnType<typeof logIn>>) =>
  openid.fetchUserInfo(config, tokens.access_token, tokens.claims()!.sub)

test('any name logs in, and is what the account is called', async (t) => {
  const config = await discover(await start(t))
  const ann = await userInfo(config, await logIn(config, { answer: { name: ' Ann Other ' } }))
  t.like(ann, { sub: 'Ann%20Other', name: 'Ann Other', email: 'ann.other@example.com', email_verified: true })
  const korean = await userInfo(config, await logIn(config, { answer: { name: '문지기' } }))
  t.is(korean.name, '문지기')
  t.regex(korean.sub, /^[\x21-\x7e]{1,255}$/)
})

test('the ID token says the same', async (t) => {
  const config = await discover(await start(t))
  const tokens = await logIn(config)
  t.like(tokens.claims(), { sub: 'demo', name: 'demo', email: 'demo@example.com', email_verified: true })
})

test('a login without PKCE is refused', async (t) => {
  const config = await discover(await start(t))
  const error = await t.throwsAsync(logIn(config, { pkce: false }), {
    instanceOf: openid.AuthorizationResponseError,
  })
  t.is(error?.error, 'invalid_request')
})

test('who cancels is sent back with access_denied', async (t) => {
  const config = await discover(await start(t))
  const error = await t.throwsAsync(logIn(config, { answer: { decision: 'no' } }), {
    instanceOf: openid.AuthorizationResponseError,
  })
  t.is(error?.error, 'access_denied')
})

test('refresh tokens are granted with and without offline_access, and used once', async (t) => {
  const config = await discover(await start(t))
  for (const scope of ['openid', 'openid offline_access']) {
    const first = await logIn(config, { scope })
    const second = await openid.refreshTokenGrant(config, first.refresh_token!)
    t.not(second.refresh_token, first.refresh_token)
    t.not(second.access_token, first.access_token)
    const reuse = openid.refreshTokenGrant(config, first.refresh_token!)
    t.is((await t.throwsAsync(reuse, { instanceOf: openid.ResponseBodyError }))?.error, 'invalid_grant')
    const family = openid.refreshTokenGrant(config, second.refresh_token!)
    t.is((await t.throwsAsync(family, { instanceOf: openid.ResponseBodyError }))?.error, 'invalid_grant')
  }
})

for (const prompt of ['consent', 'login', 'login consent']) {
  test(`prompt=${prompt} is met by the one page`, async (t) => {
    const config = await discover(await start(t))
    const tokens = await logIn(config, { scope: 'openid offline_access', parameters: { prompt } })
    t.is(tokens.claims()?.sub, 'demo')
  })
}

test('tokens are introspected, and dead once they are revoked', async (t) => {
  const config = await discover(await start(t))
  const tokens = await logIn(config)
  t.like(await openid.tokenIntrospection(config, tokens.access_token), { active: true, sub: 'demo' })
  await openid.tokenRevocation(config, tokens.refresh_token!)
  t.deepEqual(await openid.tokenIntrospection(config, tokens.refresh_token!), { active: false })
})

test('the same browser may be somebody else the next time, and finds the last name in the field', async (t) => {
  const demo = await start(t)
  const config = await discover(demo)
  const browser = cookieClient()
  t.is((await logIn(config, { browser, answer: { name: 'Ann' } })).claims()?.sub, 'Ann')
  t.is((await logIn(config, { browser, answer: { name: 'Bob' } })).claims()?.sub, 'Bob')
  t.is((await logIn(config, { browser, answer: { name: 'Bob' } })).claims()?.sub, 'Bob')
  const page = await loginPage(config, browser)
  t.true(page.text.includes('value="Bob"'))
})

test('a name that is none is asked for again, and what was typed is text', async (t) => {
  const config = await discover(await start(t))
  const browser = cookieClient()
  const { url } = await loginPage(config, browser)
  for (const name of ['', '  ', '"><script>alert(1)</script>']) {
    const reply = await browser.fetch(url, {
      method: 'POST',
      body: new URLSearchParams({ name, decision: 'yes' }),
    })
    t.is(reply.status, 422)
    const page = await reply.text()
    t.true(page.includes('Please type a name of 1 to 24 characters.'))
    t.false(page.includes('<script'))
  }
})

test('its pages load nothing and run nothing', async (t) => {
  const config = await discover(await start(t))
  const { headers, text } = await loginPage(config, cookieClient())
  t.regex(
    headers.get('content-security-policy') ?? '',
    /^default-src 'none'; style-src 'sha256-[^']+'; img-src data:;/,
  )
  t.notRegex(text, /<script|\bon\w+=|style="|https?:\/\//)
})

test('a login of another browser, or of none, is a page that says what to do', async (t) => {
  const config = await discover(await start(t))
  const { url } = await loginPage(config, cookieClient())
  const reply = await fetch(url)
  t.is(reply.status, 400)
  t.true((await reply.text()).includes('begin the login again'))
})

test('after a restart old tokens are refused in the usual way, and new logins work in the same browser', async (t) => {
  // One that nobody else comes to meanwhile.
  const first = await start(t, { port: await freePort() })
  const browser = cookieClient()
  const tokens = await logIn(await discover(first), { browser })
  await first.stop()
  const again = await start(t, { port: Number(new URL(first.issuer).port) })
  t.is(again.issuer, first.issuer)
  t.deepEqual(again.client, first.client)
  const config = await discover(again)
  const stale = openid.refreshTokenGrant(config, tokens.refresh_token!)
  t.is((await t.throwsAsync(stale, { instanceOf: openid.ResponseBodyError }))?.error, 'invalid_grant')
  t.is((await logIn(config, { browser })).claims()?.sub, 'demo')
})

test('a port that is taken leads to a free one', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const demo = await start(t, { port })
  t.not(Number(new URL(demo.issuer).port), port)
  t.is((await fetch(demo.issuer)).status, 200)
})

test('under another name it does not answer', async (t) => {
  const { issuer } = await start(t)
  const reply = await fetch(issuer.replace('127.0.0.1', 'localhost'))
  t.is(reply.status, 421)
})

test('nothing is printed', async (t) => {
  const printed: unknown[] = []
  for (const method of ['log', 'info', 'warn', 'error'] as const) {
    const before = console[method]
    console[method] = (...words: unknown[]) => void printed.push(words)
    t.teardown(() => {
      console[method] = before
    })
  }
  const config = await discover(await start(t))
  const tokens = await logIn(config)
  await openid.refreshTokenGrant(config, tokens.refresh_token!)
  await fetch(`${config.serverMetadata().issuer}/auth?client_id=nobody`, { headers: { Accept: 'text/html' } })
  t.deepEqual(printed, [])
})

/** The provider's page before it is filled in. */
async function loginPage(config: openid.Configuration, browser: CookieClient) {
  const start = openid.buildAuthorizationUrl(config, {
    ...{ redirect_uri: redirectUri, scope: 'openid', state: openid.randomState() },
    code_challenge: await openid.calculatePKCECodeChallenge(openid.randomPKCECodeVerifier()),
    code_challenge_method: 'S256',
  })
  const sent = await browser.fetch(start)
  const url = new URL(sent.headers.get('location')!, start)
  const reply = await browser.fetch(url)
  return { url, headers: reply.headers, text: await reply.text() }
}
