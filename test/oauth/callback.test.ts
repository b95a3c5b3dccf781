import type { ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import { hashOf } from '../../src/tokens/secrets.ts'
import { eachDatabase } from '../support/database.ts'
import {
  account,
  challengeOf,
  type LoginServer,
  newVerifier,
  returnUrl,
  startLoginServer,
} from '../support/login-server.ts'
import { codeOf, type Reply } from '../support/request.ts'
import { issuer, shared, startTokenParts } from '../support/token-server.ts'

const json = { accept: 'application/json' }

/** A page that says what to do, and not one question to the provider. */
function refusesWithoutAsking(t: ExecutionContext, { google, kakao }: LoginServer, reply: Reply) {
  t.is(reply.status, 400)
  t.regex(reply.headers['content-type']!, /^text\/html/)
  t.regex(reply.body, new RegExp(`<a class="button" href="${issuer}/oauth/google/login[?"]`))
  t.regex(reply.body, /That login did not work\./)
  t.is(reply.headers.location, undefined)
  t.is(google.exchanges.length + kakao.exchanges.length, 0)
}

eachDatabase(({ name, test, fresh }) => {
  const parts = shared(async (t) => startTokenParts(t, await fresh(t)))
  const serve = async (t: ExecutionContext) =>
    startLoginServer(t, await parts(), { shared: name === 'PostgreSQL' })

  /** A browser on its way back: change what should be wrong with it. */
  async function onTheWay(t: ExecutionContext, query: Readonly<Record<string, string>> = {}) {
    const server = await serve(t)
    const { state, cookie, location } = await server.start('google', query)
    const code = server.google.codeFor(account())
    const back = (
      given: Readonly<Record<string, string | undefined>> = {},
      headers: Readonly<Record<string, string>> = { cookie },
    ) => {
      const parameters = Object.entries({ code, state, ...given }).flatMap(([key, value]) =>
        value === undefined ? [] : [[key, value]],
      )
      return server.ask(`/oauth/google/callback?${new URLSearchParams(parameters)}`, { headers })
    }
    return { server, state, cookie, location, code, back }
  }

  test('a browser that comes back is sent on with a code, and the code has been exchanged once', async (t) => {
    const { server, state, location, code, back } = await onTheWay(t, {
      return_to: returnUrl,
      state: 'a+b&c=d/%20"',
    })
    const reply = await back({ iss: 'https://accounts.google.com' })
    t.is(reply.status, 302)
    t.is(reply.headers['cache-control'], 'no-store')
    t.is(reply.headers['referrer-policy'], 'no-referrer')
    t.is(reply.body, '')
    const to = new URL(reply.headers.location!)
    t.is(to.origin + to.pathname, returnUrl)
    t.deepEqual([...to.searchParams.keys()], ['code', 'state'])
    t.regex(to.searchParams.get('code')!, /^[\w-]{43}$/)
    t.is(to.searchParams.get('state'), 'a+b&c=d/%20"')
    t.is(server.google.exchanges.length, 1)
    const [exchange] = server.google.exchanges
    t.like(exchange, { code, state, issuer: 'https://accounts.google.com' })
    t.is(exchange!.redirectUri, `${issuer}/oauth/google/callback`)
    t.is(exchange!.nonce, location.searchParams.get('nonce')!)
    t.is(challengeOf(exchange!.codeVerifier!), location.searchParams.get('code_challenge')!)
  })

  test('a front end that sent no state gets none', async (t) => {
    const { back } = await onTheWay(t, { return_to: returnUrl })
    t.deepEqual([...new URL((await back()).headers.location!).searchParams.keys()], ['code'])
  })

  test('what is kept of a grant tells neither its tokens nor the code', async (t) => {
    const { server, back } = await onTheWay(t)
    const code = new URL((await back()).headers.location!).searchParams.get('code')!
    const [row] = await server.database.run((em) =>
      em.execute<{ hash: string; seconds: number }[]>(
        `select *, extract(epoch from expires_at - now())::float8 as seconds from munjigi.login_codes where hash = ?`,
        [hashOf(code)],
      ),
    )
    t.true(row!.seconds > 0 && row!.seconds <= 60)
    const stored = JSON.stringify(row)
    t.false(stored.includes(code) || stored.includes('access-') || stored.includes('refresh-'))
  })

  const wrong: Readonly<Record<string, (way: Awaited<ReturnType<typeof onTheWay>>) => Promise<Reply>>> = {
    'no state': ({ back }) => back({ state: undefined }),
    'an empty state': ({ back }) => back({ state: '' }),
    'an invented state': ({ back }) => back({ state: 'x'.repeat(43) }),
    'an altered state': ({ back, state }) => back({ state: (state[0] === 'A' ? 'B' : 'A') + state.slice(1) }),
    'a longer state': ({ back, state }) => back({ state: `${state}x` }),
    'a state with a NUL': ({ back, state }) => back({ state: `${state.slice(1)}\0` }),
    'two states': ({ server, code, state, cookie }) =>
      server.ask(`/oauth/google/callback?code=${code}&state=${state}&state=${state}`, {
        headers: { cookie },
      }),
    'two codes': ({ server, code, state, cookie }) =>
      server.ask(`/oauth/google/callback?code=${code}&code=${code}&state=${state}`, { headers: { cookie } }),
    'two issuers': ({ server, code, state, cookie }) =>
      server.ask(`/oauth/google/callback?iss=a&iss=b&code=${code}&state=${state}`, { headers: { cookie } }),
    'no cookie': ({ back }) => back({}, {}),
    'a malformed cookie': ({ back }) => back({}, { cookie: '__Host-munjigi-login=x' }),
    'the cookie of the http name': ({ back, cookie }) => back({}, { cookie: cookie.replace('__Host-', '') }),
    "another browser's cookie": async ({ server, back }) =>
      back({}, { cookie: (await server.start()).cookie }),
    'a state of the login by another provider': async ({ server, back, cookie }) =>
      back({ state: (await server.start('kakao', {}, cookie)).state }),
    'no code': ({ back }) => back({ code: undefined }),
    'an empty code': ({ back }) => back({ code: '' }),
    access_denied: ({ back }) => back({ code: undefined, error: 'access_denied' }),
    'an error beside a code': ({ back }) => back({ error: 'server_error' }),
    'an unknown error': ({ back }) => back({ code: undefined, error: '<script>alert(1)</script>' }),
  }
  for (const [what, come] of Object.entries(wrong)) {
    test(`${what}: a page that says what to do, and the provider is not asked`, async (t) => {
      const way = await onTheWay(t)
      refusesWithoutAsking(t, way.server, await come(way))
      t.is(way.server.errorCodes.at(-1), 'invalid_request')
    })
  }

  test('a state that was used is used up, also by a login that failed', async (t) => {
    for (const first of [{}, { error: 'access_denied' }, { code: undefined }]) {
      const { server, back } = await onTheWay(t)
      const asked = (await back(first)).status === 302 ? 1 : 0
      const replay = await back()
      t.is(replay.status, 400)
      t.regex(replay.body, /has ended already/)
      t.is(server.google.exchanges.length, asked)
    }
  })

  test('of two who come back with one state at once one is sent on', async (t) => {
    const { server, back } = await onTheWay(t)
    const replies = await Promise.all([back(), back(), back(), back()])
    t.deepEqual(replies.map(({ status }) => status).sort(), [302, 400, 400, 400])
    t.is(server.google.exchanges.length, 1)
  })

  test('an expired state is none', async (t) => {
    const { server, state, back } = await onTheWay(t)
    await server.database.run((em) =>
      em.execute(
        `update munjigi.login_attempts set expires_at = now() - interval '1 second' where state_hash = ?`,
        [hashOf(state)],
      ),
    )
    refusesWithoutAsking(t, server, await back())
  })

  test('who comes with a state that is not his takes nothing away from whose it is', async (t) => {
    const { server, state, cookie, code, back } = await onTheWay(t)
    const stranger = (await server.start()).cookie
    t.is((await back({}, { cookie: stranger })).status, 400)
    t.is((await back({}, {})).status, 400)
    const elsewhere = `/oauth/kakao/callback?${new URLSearchParams({ code, state })}`
    t.is((await server.ask(elsewhere, { headers: { cookie } })).status, 400)
    t.is(server.kakao.exchanges.length, 0)
    t.is((await back()).status, 302)
  })

  test('looking with HEAD uses nothing up', async (t) => {
    const { server, state, cookie, code, back } = await onTheWay(t)
    const path = `/oauth/google/callback?${new URLSearchParams({ code, state })}`
    t.is((await server.ask(path, { method: 'HEAD', headers: { cookie } })).status, 405)
    t.is((await back()).status, 302)
  })

  test('two tabs of one browser each end their own login', async (t) => {
    const server = await serve(t)
    const first = await server.start()
    const second = await server.start('kakao', {}, first.cookie)
    t.is(second.cookie, first.cookie)
    for (const [provider, { state, cookie }] of [
      [server.kakao, second],
      [server.google, first],
    ] as const) {
      const query = new URLSearchParams({ code: provider.codeFor(account()), state })
      t.is(
        (await server.ask(`/oauth/${provider.name}/callback?${query}`, { headers: { cookie } })).status,
        302,
      )
    }
  })

  if (name === 'PostgreSQL') return

  test('what the provider says is not shown, neither in the page nor in the problem', async (t) => {
    for (const headers of [{}, json]) {
      const { server, state, cookie } = await onTheWay(t)
      const query = new URLSearchParams({
        ...{ state, error: 'access_denied', error_uri: 'https://evil.example/' },
        error_description: '<b>Call 555-0100</b>',
      })
      const { body } = await server.ask(`/oauth/google/callback?${query}`, {
        headers: { cookie, ...headers },
      })
      t.regex(body, /The login was cancelled, or Google did not allow it\./)
      t.false(body.includes('555-0100') || body.includes('evil.example') || body.includes(state))
    }
  })

  const faults = {
    invalid_grant: 400,
    provider_refused: 502,
    provider_bad_response: 502,
    provider_unreachable: 502,
    provider_timeout: 504,
  } as const
  for (const [fault, status] of Object.entries(faults)) {
    test(`where the provider's answer is ${fault} the page is a ${status} with the way to begin anew`, async (t) => {
      const verifier = newVerifier()
      const query = { return_to: returnUrl, state: 'mine', code_challenge: challengeOf(verifier) }
      const { server, cookie, state } = await onTheWay(t, query)
      const error = new GatewayError(fault as keyof typeof faults, { detail: 'Google did not like it.' })
      const back = new URLSearchParams({ code: server.google.codeFor(error), state })
      const page = await server.ask(`/oauth/google/callback?${back}`, { headers: { cookie } })
      t.is(page.status, status)
      t.regex(page.body, /Google did not like it\./)
      t.is(server.errorCodes.at(-1), fault)
      t.is(server.google.exchanges.length, 1)
      const [, href = ''] = /<a class="button" href="([^"]+)"/.exec(page.body) ?? []
      const again = new URL(href.replaceAll('&amp;', '&'))
      t.is(again.origin + again.pathname, `${issuer}/oauth/google/login`)
      t.deepEqual(Object.fromEntries(again.searchParams), { ...query, code_challenge_method: 'S256' })
      const replay = await server.ask(`/oauth/google/callback?${back}`, { headers: { cookie } })
      t.is(replay.status, 400)
      t.is(server.google.exchanges.length, 1)
      const anew = await server.ask(again.pathname + again.search, { headers: { cookie } })
      t.is(anew.status, 302)
    })
  }

  test('the page runs nothing, loads nothing, is framed by nobody, and names the request', async (t) => {
    const { back } = await onTheWay(t)
    const { headers, body } = await back({ state: undefined })
    const policy = headers['content-security-policy'] as string
    t.regex(policy, /^default-src 'none'; style-src 'sha256-[^']+'; img-src data:; base-uri 'none'/)
    t.regex(policy, /frame-ancestors 'none'/)
    t.false(/<script|http-equiv|javascript:/i.test(body))
    t.is(headers['cache-control'], 'no-store')
    t.is(headers['x-content-type-options'], 'nosniff')
    t.true(body.includes(headers['x-request-id'] as string))
    t.regex(body, /<meta name="viewport"/)
    t.regex(body, /<meta name="color-scheme" content="light dark">/)
  })

  test('a program gets the problem document, with the way to begin anew', async (t) => {
    const { back, cookie } = await onTheWay(t, { return_to: returnUrl })
    for (const accept of ['application/json', '*/*']) {
      const reply = await back({ state: 'x'.repeat(43) }, { cookie, accept })
      t.is(reply.headers['content-type'], 'application/problem+json')
      t.is(codeOf(reply), 'invalid_request')
      t.is(JSON.parse(reply.body).login_url, `${issuer}/oauth/google/login`)
      t.regex(reply.headers.vary!, /Accept/)
    }
  })
})
