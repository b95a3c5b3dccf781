import type { ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import { loginReplySchema } from '../../src/oauth/login/schemas-login.ts'
import { eachDatabase } from '../support/database.ts'
import {
  account,
  challengeOf,
  type LoginServer,
  newVerifier,
  returnUrl,
  startLoginServer,
} from '../support/login-server.ts'
import { asAuth, issuer, shared, startTokenParts } from '../support/token-server.ts'

type Query = Readonly<Record<string, string | undefined>>

const docsReturn = `${issuer}/docs/oauth2-redirect.html`
const form = { 'content-type': 'application/x-www-form-urlencoded' }

eachDatabase(({ name, test, fresh }) => {
  const parts = shared(async (t) => startTokenParts(t, await fresh(t)))
  const serve = async (t: ExecutionContext) => {
    const server = await startLoginServer(t, await parts(), { shared: name === 'PostgreSQL' })
    return { ...server, ...clientOf(server) }
  }

  test('a client that knows nothing but OAuth logs somebody in', async (t) => {
    const { authorize, comeBack, token, google, verifier: tokens } = await serve(t)
    const verifier = newVerifier()
    const asked = await authorize({ code_challenge: challengeOf(verifier), provider: 'google' })
    t.is(asked.status, 302)
    t.is(asked.location.origin, 'https://google.example')
    t.not(asked.location.searchParams.get('state'), 'the state', 'the provider sees the gateway’s own')
    t.not(asked.location.searchParams.get('code_challenge'), challengeOf(verifier))
    const back = await comeBack(asked, google, account({ name: 'Ada' }))
    t.is(back.origin + back.pathname, returnUrl)
    t.is(back.searchParams.get('state'), 'the state')
    const { status, headers, json } = await token(back, { code_verifier: verifier })
    t.is(status, 200)
    t.is(headers['cache-control'], 'no-store')
    t.is(headers.pragma, 'no-cache')
    loginReplySchema.strict().parse(json)
    t.like(json, { token_type: 'Bearer', scope: 'profile', provider: 'google', name: 'Ada' })
    const { claims } = await tokens.verify(json.access_token)
    t.like(claims, { iss: issuer, sub: json.subject, client_id: 'munjigi' })
  })

  test('it refreshes where it got its tokens, each refresh token once', async (t) => {
    const { logIn, post } = await serve(t)
    const { json } = await logIn()
    const refresh = { grant_type: 'refresh_token', refresh_token: json.refresh_token, client_id: 'munjigi' }
    const next = await post(refresh)
    t.is(next.status, 200)
    t.is(next.headers['cache-control'], 'no-store')
    t.not(next.json.refresh_token, json.refresh_token)
    t.like((await post(refresh)).json, { error: 'invalid_grant' })
    const last = { ...refresh, refresh_token: next.json.refresh_token }
    t.like((await post(last)).json, { error: 'invalid_grant' }, 'the session ended with the second use')
  })

  test('another client’s refresh token is refused', async (t) => {
    const { logIn, post } = await serve(t)
    const { json } = await logIn()
    const refresh = { grant_type: 'refresh_token', refresh_token: json.refresh_token }
    t.like((await post({ ...refresh, client_id: 'munjigi-docs' })).json, { error: 'invalid_grant' })
  })

  test('the docs are a client of their own, with one place to return to', async (t) => {
    const { authorize, comeBack, token, google } = await serve(t)
    const docs = { client_id: 'munjigi-docs', redirect_uri: docsReturn }
    const verifier = newVerifier()
    const asked = await authorize({ ...docs, code_challenge: challengeOf(verifier), provider: 'google' })
    const back = await comeBack(asked, google)
    t.is(back.origin + back.pathname, docsReturn)
    t.is((await token(back, { ...docs, code_verifier: verifier })).status, 200)
    t.is((await authorize({ ...docs, redirect_uri: returnUrl })).status, 400)
    t.is((await authorize({ redirect_uri: docsReturn })).status, 400)
  })

  for (const [what, wrong] of [
    ['no client_id', { client_id: undefined }],
    ['an unknown client_id', { client_id: 'evil.example' }],
    ['a client_id that has a secret', { client_id: 'auth' }],
    ['no redirect_uri', { redirect_uri: undefined }],
    ['another redirect_uri', { redirect_uri: 'https://evil.example/' }],
    ['a redirect_uri that begins as one', { redirect_uri: `${returnUrl}/more` }],
    ['a redirect_uri with a query', { redirect_uri: `${returnUrl}?next=https://evil.example/` }],
    ['a redirect_uri in other case', { redirect_uri: returnUrl.replace('https', 'HTTPS') }],
  ] as const) {
    test(`${what} is told here, and nobody is sent anywhere`, async (t) => {
      const { authorize, google, errorCodes } = await serve(t)
      for (const provider of [undefined, 'google']) {
        const reply = await authorize({ ...wrong, provider })
        t.is(reply.status, 400)
        t.is(reply.headers.location, undefined)
        t.is(reply.headers['set-cookie'], undefined)
        t.regex(reply.body, /client_id: expected munjigi|redirect_uri: expected one of/)
        t.false(reply.body.includes('evil.example'), 'and what came is not shown')
      }
      t.deepEqual(errorCodes, ['invalid_request', 'invalid_request'])
      t.is(google.exchanges.length, 0)
    })
  }

  test('two client_ids or redirect_uris are told here too', async (t) => {
    const { ask, queryOf } = await serve(t)
    for (const twice of ['client_id=munjigi', `redirect_uri=${encodeURIComponent(returnUrl)}`]) {
      const reply = await ask(`/oauth/authorize?${queryOf()}&${twice}`)
      t.is(reply.status, 400)
      t.is(reply.headers.location, undefined)
    }
  })

  for (const [what, error, wrong] of [
    ['no response_type', 'invalid_request', { response_type: undefined }],
    ['the implicit grant', 'unsupported_response_type', { response_type: 'token' }],
    ['no challenge', 'invalid_request', { code_challenge: undefined, code_challenge_method: undefined }],
    ['a challenge without a method', 'invalid_request', { code_challenge_method: undefined }],
    ['a plain challenge', 'invalid_request', { code_challenge_method: 'plain' }],
    ['a method without a challenge', 'invalid_request', { code_challenge: undefined }],
    ['a challenge that is none', 'invalid_request', { code_challenge: 'too-short' }],
    ['a provider that is not there', 'invalid_request', { provider: 'nobody' }],
    ['scopes that nobody gets', 'invalid_scope', { scope: 'admin' }],
  ] as const) {
    test(`${what} is told to the client: ${error}`, async (t) => {
      const { authorize, errorCodes } = await serve(t)
      const reply = await authorize({ provider: 'google', ...wrong })
      t.is(reply.status, 302)
      t.is(reply.location.origin + reply.location.pathname, returnUrl)
      const { searchParams } = reply.location
      t.deepEqual([...searchParams.keys()], ['error', 'error_description', 'state'])
      t.is(searchParams.get('error'), error)
      t.is(searchParams.get('state'), 'the state')
      t.is(reply.headers['set-cookie'], undefined, 'no login has begun')
      t.is(reply.headers['referrer-policy'], 'no-referrer')
      t.deepEqual(errorCodes, [error])
    })
  }

  test('a parameter that comes twice, and a state that is none, are told to the client', async (t) => {
    const { ask, queryOf } = await serve(t)
    for (const [query, state] of [
      [`${queryOf()}&provider=google&provider=kakao`, 'the state'],
      [`${queryOf()}&state=another`, null],
      [`${queryOf({ state: '\u00e9' })}`, null],
      [`${queryOf({ state: 'x'.repeat(513) })}`, null],
    ] as const) {
      const reply = await ask(`/oauth/authorize?${query}`)
      t.is(reply.status, 302)
      const location = new URL(reply.headers.location!)
      t.is(location.searchParams.get('error'), 'invalid_request')
      t.is(location.searchParams.get('state'), state)
    }
  })

  test('only scopes of a login’s are granted, and as few as are asked for', async (t) => {
    const { logIn } = await serve(t)
    t.is((await logIn({ scope: 'openid profile admin' })).json.scope, 'profile')
  })

  test('without a provider a page asks, with buttons that go on and a way back', async (t) => {
    const { authorize, ask } = await serve(t)
    await authorize({})
    const page = await authorize({})
    t.is(page.status, 200)
    t.is(page.headers['cache-control'], 'no-store')
    t.false(page.headers['content-security-policy']!.includes('script'))
    t.false(/<script/.test(page.body))
    const links = [...page.body.matchAll(/href="([^"]*)"/g)].map(([, link]) => link!.replaceAll('&amp;', '&'))
    const [google, kakao, cancel] = links.filter((link) => !link.startsWith('data:'))
    t.is(new URL((await ask(google!)).headers.location!).hostname, 'google.example')
    t.is(new URL((await ask(kakao!)).headers.location!).hostname, 'kakao.example')
    const back = new URL(cancel!).searchParams
    t.deepEqual([back.get('error'), back.get('state')], ['access_denied', 'the state'])
  })

  test('who says no at the provider comes back to the client: access_denied', async (t) => {
    const { authorize, ask } = await serve(t)
    for (const [said, told] of [
      ['access_denied', 'access_denied'],
      ['temporarily_unavailable', 'temporarily_unavailable'],
      ['invalid_client', 'server_error'],
    ] as const) {
      const { state, cookie } = await authorize({ provider: 'google' })
      const reply = await ask(`/oauth/google/callback?error=${said}&state=${state}`, { headers: { cookie } })
      t.is(reply.status, 302)
      const location = new URL(reply.headers.location!)
      t.is(location.origin + location.pathname, returnUrl)
      t.like(Object.fromEntries(location.searchParams), { error: told, state: 'the state' })
    }
  })

  test('a provider that is away is told to the client: temporarily_unavailable', async (t) => {
    const { authorize, comeBack, google } = await serve(t)
    const back = await comeBack(
      await authorize({ provider: 'google' }),
      google,
      new GatewayError('provider_unreachable'),
    )
    t.is(back.searchParams.get('error'), 'temporarily_unavailable')
    t.is(back.searchParams.get('code'), null)
  })

  test('another browser than the one that began gets no code', async (t) => {
    const { authorize, ask, google } = await serve(t)
    const { state } = await authorize({ provider: 'google' })
    const other = await authorize({ provider: 'google' })
    const query = new URLSearchParams({ state, code: google.codeFor(account()) })
    const reply = await ask(`/oauth/google/callback?${query}`, { headers: { cookie: other.cookie } })
    t.is(reply.status, 400)
    t.is(reply.headers.location, undefined)
    t.is(google.exchanges.length, 0)
  })

  test('a code is good once', async (t) => {
    const { exchange } = await (await serve(t)).codeFor()
    const replies = await Promise.all([1, 2, 3].map(() => exchange()))
    t.deepEqual(replies.map(({ status }) => status).sort(), [200, 400, 400])
    t.like((await exchange()).json, { error: 'invalid_grant' })
  })

  for (const [what, wrong, error, spent] of [
    ['another verifier', { code_verifier: newVerifier() }, 'invalid_grant', true],
    ['another client_id', { client_id: 'munjigi-docs' }, 'invalid_grant', true],
    ['another redirect_uri', { redirect_uri: docsReturn }, 'invalid_grant', true],
    ['an unknown client_id', { client_id: 'nobody' }, 'invalid_client', false],
    ['no verifier', { code_verifier: undefined }, 'invalid_request', false],
    ['no redirect_uri', { redirect_uri: undefined }, 'invalid_request', false],
    ['no client_id', { client_id: undefined }, 'invalid_request', false],
    ['no code', { code: undefined }, 'invalid_request', false],
    ['no grant_type', { grant_type: undefined }, 'invalid_request', false],
    ['another grant_type', { grant_type: 'password' }, 'unsupported_grant_type', false],
  ] as const) {
    test(`a code with ${what} is refused: ${error}${spent ? ', and spent' : ''}`, async (t) => {
      const { exchange } = await (await serve(t)).codeFor()
      const { status, json, headers } = await exchange(wrong)
      t.is(status, error === 'invalid_client' ? 401 : 400)
      t.is(json.error, error)
      t.regex(json.error_description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
      t.is(headers['cache-control'], 'no-store')
      t.is((await exchange()).status, spent ? 400 : 200)
    })
  }

  test('a client with a secret does not get what was given to one without', async (t) => {
    const { exchange } = await (await serve(t)).codeFor()
    t.like((await exchange({ client_id: undefined }, asAuth)).json, { error: 'invalid_grant' })
  })

  test('codes of the two doors are not exchanged at the other', async (t) => {
    const server = await serve(t)
    const { code, verifier } = await server.codeFor()
    const elsewhere = await server.complete({ code, code_verifier: verifier })
    t.like(elsewhere.json, { error: 'invalid_grant' })

    const other = newVerifier()
    const query = { return_to: returnUrl, code_challenge: challengeOf(other) }
    const plain = await server.login(server.google, account(), query)
    const { json } = await server.post({
      ...{ grant_type: 'authorization_code', code: plain, redirect_uri: returnUrl, client_id: 'munjigi' },
      code_verifier: other,
    })
    t.like(json, { error: 'invalid_grant' })
  })

  test('another host than the public one, and HEAD, begin nothing', async (t) => {
    const { ask, queryOf } = await serve(t)
    const path = `/oauth/authorize?${queryOf({ provider: 'google' })}`
    const elsewhere = await ask(path, { headers: { host: 'elsewhere.example' } })
    t.is(elsewhere.status, 400)
    t.regex(elsewhere.body, /Begin there instead/)
    t.is((await ask(path, { method: 'HEAD' })).status, 405)
  })
})

/** A client that follows the RFCs. */
function clientOf(server: LoginServer) {
  const queryOf = (given: Query = {}) => {
    const all: Query = {
      ...{ response_type: 'code', client_id: 'munjigi', redirect_uri: returnUrl, state: 'the state' },
      ...{ code_challenge: challengeOf(newVerifier()), code_challenge_method: 'S256', ...given },
    }
    return new URLSearchParams(present(all))
  }
  async function authorize(query: Query) {
    const reply = await server.ask(`/oauth/authorize?${queryOf(query)}`)
    const location = new URL(reply.headers.location ?? 'about:blank')
    const cookie = reply.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
    return { ...reply, location, cookie, state: location.searchParams.get('state') ?? '' }
  }
  /** Where the browser ends after a yes at the provider. */
  async function comeBack(
    { state, cookie }: { readonly state: string; readonly cookie: string },
    provider: LoginServer['google'],
    profile: Parameters<LoginServer['google']['codeFor']>[0] = account(),
  ) {
    const query = new URLSearchParams({ state, code: provider.codeFor(profile) })
    const reply = await server.ask(`/oauth/${provider.name}/callback?${query}`, { headers: { cookie } })
    return new URL(reply.headers.location!)
  }
  async function post(body: Query, headers: Readonly<Record<string, string>> = {}) {
    const reply = await server.ask('/oauth/token', {
      ...{ method: 'POST', headers: { ...form, accept: 'application/json', ...headers } },
      body: new URLSearchParams(present(body)).toString(),
    })
    return { status: reply.status, headers: reply.headers, json: JSON.parse(reply.body) }
  }
  const token = (back: URL, given: Query, headers?: Readonly<Record<string, string>>) =>
    post(
      {
        ...{ grant_type: 'authorization_code', code: back.searchParams.get('code')! },
        ...{ client_id: 'munjigi', redirect_uri: returnUrl, ...given },
      },
      headers,
    )
  /** A code that came back, and how to exchange it. */
  async function codeFor(query: Query = {}) {
    const verifier = newVerifier()
    const asked = await authorize({ code_challenge: challengeOf(verifier), provider: 'google', ...query })
    const back = await comeBack(asked, server.google)
    return {
      verifier,
      code: back.searchParams.get('code'),
      exchange: (given: Query = {}, headers?: Readonly<Record<string, string>>) =>
        token(back, { code_verifier: verifier, ...given }, headers),
    }
  }
  async function logIn(query: Query = {}) {
    const { exchange } = await codeFor(query)
    return exchange()
  }
  return { queryOf, authorize, comeBack, post, token, codeFor, logIn }
}

const present = (query: Query) =>
  Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)
