import test, { type ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import { createRequestLimit } from '../../src/tokens/request-limit.ts'
import { hashOf } from '../../src/tokens/secrets.ts'
import { freshEmbedded } from '../support/database.ts'
import {
  challengeOf,
  type LoginServer,
  type LoginServerOptions,
  newVerifier,
  returnUrl,
  startLoginServer,
} from '../support/login-server.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf } from '../support/request.ts'
import { issuer, shared, startTokenParts } from '../support/token-server.ts'

const parts = shared(async (t) => startTokenParts(t, await freshEmbedded(t)))
const serve = async (t: ExecutionContext, given: LoginServerOptions = {}) =>
  startLoginServer(t, await parts(), given)

interface AttemptRow {
  readonly browserHash: string
  readonly provider: string
  readonly sealedSecrets: string
  readonly returnTo: string
  readonly returnState: string | null
  readonly codeChallenge: string | null
  readonly seconds: number
}

async function attemptOf({ database }: Pick<LoginServer, 'database'>, state: string) {
  const [row] = await database.run((em) =>
    em.execute<AttemptRow[]>(
      `select browser_hash as "browserHash", provider, sealed_secrets as "sealedSecrets", return_to as "returnTo",
        return_state as "returnState", code_challenge as "codeChallenge",
        extract(epoch from expires_at - now())::float8 as seconds
      from munjigi.login_attempts where state_hash = ?`,
      [hashOf(state)],
    ),
  )
  return row
}

const json = { accept: 'application/json' }

test('a browser is sent to the provider, with a state, a nonce and a PKCE challenge of its own each time', async (t) => {
  const server = await serve(t)
  const [one, other] = [await server.start(), await server.start()]
  for (const { location } of [one, other]) {
    t.is(location.origin, 'https://google.example')
    t.is(location.searchParams.get('redirect_uri'), `${issuer}/oauth/google/callback`)
    for (const name of ['state', 'nonce', 'code_challenge']) {
      t.regex(location.searchParams.get(name)!, /^[\w-]{43}$/)
    }
  }
  const values = [one, other].flatMap(({ location }) =>
    ['state', 'nonce', 'code_challenge'].map((name) => location.searchParams.get(name)),
  )
  t.is(new Set(values).size, 6)
})

test('nothing on the way may keep the reply or tell others of the address', async (t) => {
  const server = await serve(t)
  const { status, headers, body } = await server.ask('/oauth/google/login')
  t.is(status, 302)
  t.is(headers['cache-control'], 'no-store')
  t.is(headers['referrer-policy'], 'no-referrer')
  t.is(body, '')
})

test('the cookie is for the host alone and unreadable for scripts', async (t) => {
  const server = await serve(t)
  const { headers } = await server.ask('/oauth/google/login')
  t.is(headers['set-cookie']!.length, 1)
  t.regex(
    headers['set-cookie']![0]!,
    /^__Host-munjigi-login=[\w-]{43}; Path=\/; Max-Age=720; HttpOnly; SameSite=Lax; Secure$/,
  )
})

test('under http, where browsers refuse the prefix, the cookie has another name and is not Secure', async (t) => {
  const server = await serve(t, { publicUrl: 'http://localhost:8080' })
  const { headers } = await server.ask('/oauth/google/login')
  t.regex(
    headers['set-cookie']![0]!,
    /^munjigi-login=[\w-]{43}; Path=\/; Max-Age=720; HttpOnly; SameSite=Lax$/,
  )
})

test('a browser that has a cookie keeps it, a malformed one is replaced', async (t) => {
  const server = await serve(t)
  const first = await server.start()
  t.is((await server.start('google', {}, `theme=dark; ${first.cookie}; lang=ko`)).cookie, first.cookie)
  for (const bad of ['', 'short', 'x'.repeat(44), `${'x'.repeat(42)}!`]) {
    t.regex((await server.start('google', {}, `__Host-munjigi-login=${bad}`)).cookie, /=[\w-]{43}$/)
  }
})

test('what is kept of a login tells neither state, cookie, nonce nor verifier', async (t) => {
  const server = await serve(t)
  const verifier = newVerifier()
  const query = { return_to: returnUrl, state: 'front-end-state', code_challenge: challengeOf(verifier) }
  const { state, cookie, location } = await server.start('kakao', { ...query, code_challenge_method: 'S256' })
  const row = await attemptOf(server, state)
  t.like(row, {
    provider: 'kakao',
    browserHash: hashOf(cookie.split('=')[1]!),
    returnTo: returnUrl,
    returnState: 'front-end-state',
    codeChallenge: challengeOf(verifier),
  })
  t.true(row!.seconds > 400 && row!.seconds <= 600)
  const stored = JSON.stringify(row)
  for (const secret of [state, cookie.split('=')[1]!, location.searchParams.get('nonce')!]) {
    t.false(stored.includes(secret))
  }
})

test('without return_to a login ends at the gateway’s own page, under its prefix', async (t) => {
  const server = await serve(t, { routePrefix: '/e' })
  t.is((await attemptOf(server, (await server.start()).state))!.returnTo, `${issuer}/e/login`)
  const own = await server.start('google', { return_to: `${issuer}/e/login` })
  t.is((await attemptOf(server, own.state))!.returnTo, `${issuer}/e/login`)
  t.is(own.location.searchParams.get('redirect_uri'), `${issuer}/e/oauth/google/callback`)
})

const tricks = [
  '//evil.example/welcome',
  'https://evil.example/welcome',
  'https://app.example.com@evil.example/welcome',
  'https://user@app.example.com/welcome',
  'https://user:pass@app.example.com/welcome',
  'https://app.example.com.evil.example/welcome',
  'https://app.example.com./welcome',
  'https://app.example.com:443/welcome',
  'https://app.example.com:8443/welcome',
  'http://app.example.com/welcome',
  'HTTPS://app.example.com/welcome',
  'https://App.example.com/welcome',
  'https://app.example.com/Welcome',
  'https://app.example.com/welcome/',
  'https://app.example.com/welcome/more',
  'https://app.example.com/welcome2',
  'https://app.example.com/welcom',
  'https://app.example.com/',
  'https://app.example.com/x/../welcome',
  'https://app.example.com/%77elcome',
  'https%3A%2F%2Fapp.example.com%2Fwelcome',
  'https://app.example.com/welcome?next=/x',
  'https://app.example.com/welcome?',
  'https://app.example.com/welcome#',
  'https://app.example.com/welcome#x',
  ' https://app.example.com/welcome',
  'https://app.example.com/welcome ',
  'https://app.example.com/welcome\r\nSet-Cookie: a=b',
  'https://app.example.com/welcome\0',
  'https:app.example.com/welcome',
  'https:/app.example.com/welcome',
  'https:\\\\app.example.com/welcome',
  '/welcome',
  '/login',
  'javascript:alert(1)',
  'data:text/html,x',
  'https://app.example.com/welcome,https://app.example.com/welcome',
]

for (const trick of tricks) {
  test(`return_to ${JSON.stringify(trick)} is refused`, async (t) => {
    const server = await serve(t)
    const reply = await server.ask(`/oauth/google/login?${new URLSearchParams({ return_to: trick })}`, {
      headers: json,
    })
    t.is(reply.status, 400)
    t.is(codeOf(reply), 'invalid_request')
    t.regex(JSON.parse(reply.body).detail, /^return_to: expected one of LOGIN_RETURN_URLS/)
    t.is(reply.headers['set-cookie'], undefined)
    t.is(reply.headers.location, undefined)
  })
}

const app = encodeURIComponent(returnUrl)
const faults: Readonly<Record<string, RegExp>> = {
  [`return_to=${app}&return_to=${app}`]: /^return_to: expected once/,
  'state=a&state=a': /^state: expected once/,
  'state=&state=a': /^state: expected once/,
  'whatever=1&whatever=2': /^whatever: expected once/,
  '%3Cscript%3E=1&%3Cscript%3E=2': /^A parameter: expected once/,
  [`state=${'x'.repeat(513)}`]: /^state: expected at most 512 visible ASCII/,
  'state=a%20b': /^state: expected/,
  'state=%0d%0a': /^state: expected/,
  'state=%EB%AC%B8': /^state: expected/,
  'code_challenge=short': /^code_challenge: expected 43 characters/,
  [`code_challenge=${'x'.repeat(42)}%2B`]: /^code_challenge: expected/,
  [`code_challenge=${'x'.repeat(44)}`]: /^code_challenge: expected/,
  [`code_challenge=${'x'.repeat(43)}&code_challenge_method=plain`]: /^code_challenge_method: expected S256/,
  'code_challenge_method=S256': /^code_challenge_method: expected S256, with a code_challenge/,
}

for (const [query, expected] of Object.entries(faults)) {
  test(`the query ${query.slice(0, 80)} is refused, and why is said`, async (t) => {
    const server = await serve(t)
    const reply = await server.ask(`/oauth/google/login?${query}`, { headers: json })
    t.is(reply.status, 400)
    t.regex(JSON.parse(reply.body).detail, expected)
    t.is(reply.headers['set-cookie'], undefined)
  })
}

test('a state of 512 characters, and of every visible one, is taken', async (t) => {
  const server = await serve(t)
  const visible = String.fromCharCode(...Array.from({ length: 94 }, (_, i) => 0x21 + i))
  for (const state of ['x'.repeat(512), visible]) {
    const started = await server.start('google', { state })
    t.is((await attemptOf(server, started.state))!.returnState, state)
  }
})

test('a provider that is not configured is a 404 that says so', async (t) => {
  const server = await serve(t)
  for (const name of ['naver', 'GOOGLE', 'googl', '__proto__', 'constructor', '%3Cscript%3E']) {
    const page = await server.ask(`/oauth/${name}/login`)
    t.is(page.status, 404)
    t.regex(page.body, /is not configured at this gateway/)
    t.false(page.body.includes('<script'))
    t.is(codeOf(await server.ask(`/oauth/${name}/callback`, { headers: json })), 'not_found')
  }
})

const publicHosts: Readonly<Record<string, readonly string[]>> = {
  'https://www.example.com': ['www.example.com', 'WWW.Example.com', 'www.example.com:443'],
  'http://www.example.com': ['www.example.com', 'www.example.com:80'],
  'http://localhost:8080': ['localhost:8080'],
  'https://www.example.com:8443': ['www.example.com:8443'],
  'http://[::1]:8080': ['[::1]:8080'],
}
const strangeHosts: Readonly<Record<string, readonly string[]>> = {
  'https://www.example.com': [
    ...[
      'evil.example',
      'www.example.com.evil.example',
      'evil.example:443',
      'www.example.com.',
      'example.com',
    ],
    ...['www.example.com:80', 'www.example.com:8443', 'user@www.example.com', 'www.example.com@evil.example'],
    ...['www.example.com:0443', 'www.example.com:', 'www.example.com/', 'www.example.com,evil.example'],
  ],
  'http://www.example.com': ['www.example.com:443', 'www.example.com:8080'],
  'http://localhost:8080': ['localhost', '127.0.0.1:8080', 'localhost:80', '[::1]:8080'],
}

for (const [publicUrl, hosts] of Object.entries(publicHosts)) {
  test(`of ${publicUrl} the host may be ${hosts.join(' or ')}, forwarded or not`, async (t) => {
    const server = await serve(t, { publicUrl })
    for (const host of hosts) {
      t.is((await server.ask('/oauth/google/login', { headers: { host } })).status, 302)
      const headers = { host: 'internal:3000', 'x-forwarded-host': host }
      const reply = await server.ask('/oauth/google/login', { headers })
      t.is(reply.status, 302)
      const redirectUri = new URL(reply.headers.location!).searchParams.get('redirect_uri')
      t.is(redirectUri, `${publicUrl}/oauth/google/callback`)
    }
  })
}

for (const [publicUrl, hosts] of Object.entries(strangeHosts)) {
  test(`of ${publicUrl} no other host will do, neither in Host nor in X-Forwarded-Host`, async (t) => {
    const server = await serve(t, { publicUrl })
    for (const host of hosts) {
      const forged = [
        { host },
        { 'x-forwarded-host': host },
        { 'x-forwarded-host': [new URL(publicUrl).host, host] },
      ]
      for (const headers of forged) {
        for (const path of ['/oauth/google/login', '/oauth/google/callback?code=c&state=s']) {
          const page = await server.ask(path, { headers: headers as Record<string, string> })
          t.is(page.status, 400, `${host} ${path}`)
          // A Host that is no host goes no further than the door.
          if (page.headers['content-type'] !== 'application/problem+json') {
            t.true(page.body.includes(`href="${publicUrl}/oauth/google/login"`))
          } else t.regex(host, /[@/]/)
          t.false(page.body.includes('evil.example'))
          t.is(page.headers['set-cookie'], undefined)
        }
      }
    }
    t.is(server.google.exchanges.length, 0)
  })
}

test('a target that names another host is that host’s, whatever Host says', async (t) => {
  const server = await serve(t)
  const client = await rawClient(t, Number(new URL(server.url).port))
  client.send(
    'GET http://evil.example/oauth/google/login HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n',
  )
  t.regex((await client.ended()).text, /^HTTP\/1\.1 400 /)
})

test('a provider that cannot be asked is a 502, and nothing is kept', async (t) => {
  const server = await serve(t)
  const authorizationUrl = async () => {
    throw new GatewayError('provider_unreachable', { detail: 'Google cannot be reached.' })
  }
  Object.assign(server.google, { authorizationUrl })
  const page = await server.ask('/oauth/google/login')
  t.is(page.status, 502)
  t.regex(page.body, /Google cannot be reached\./)
  t.is(page.headers['set-cookie'], undefined)
})

test('where a login cannot begin now, beginning anew leads to the same front end', async (t) => {
  const server = await serve(t)
  const authorizationUrl = async () => {
    throw new GatewayError('provider_unreachable', { detail: 'Google cannot be reached.' })
  }
  Object.assign(server.google, { authorizationUrl })
  const query = { return_to: returnUrl, state: 'front-end-state', code_challenge: challengeOf(newVerifier()) }
  const page = await server.ask(`/oauth/google/login?${new URLSearchParams(query)}`)
  const [, href = ''] = /href="([^"]+)">Try again/.exec(page.body) ?? []
  const again = new URL(href.replaceAll('&amp;', '&'))
  t.is(again.origin + again.pathname, `${server.publicUrl}/oauth/google/login`)
  t.deepEqual(Object.fromEntries(again.searchParams), { ...query, code_challenge_method: 'S256' })
})

test('a browser that asks too often sees a page as well, a program the problem document', async (t) => {
  const server = await serve(t, { requestLimit: createRequestLimit({ points: 1, seconds: 60 }) })
  await server.start()
  for (const path of ['/oauth/google/login', '/oauth/google/callback?code=c&state=s']) {
    const page = await server.ask(path)
    t.is(page.status, 429)
    t.regex(page.headers['content-type']!, /^text\/html/)
    t.regex(page.headers['retry-after']!, /^\d+$/)
    t.regex(page.body, /Too many requests from this address\./)
    t.is(page.headers['cache-control'], 'no-store')
    const problem = await server.ask(path, { headers: { accept: 'application/json' } })
    t.is(problem.status, 429)
    t.is(JSON.parse(problem.body).code, 'too_many_requests')
  }
})

test('HEAD begins nothing', async (t) => {
  const server = await serve(t)
  const reply = await server.ask('/oauth/google/login', { method: 'HEAD' })
  t.is(reply.status, 405)
  t.is(reply.headers.allow, 'GET')
  t.is(reply.headers['set-cookie'], undefined)
})
