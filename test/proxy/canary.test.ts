import test, { type ExecutionContext } from 'ava'
import { inCalm } from '../support/calm.ts'
import { startGateway } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'
import { openWebSocket, webSocketHouse } from '../support/websocket.ts'

/** Says which it is, and what it was asked for. */
const named = (t: ExecutionContext, name: string) =>
  httpUpstream(t, (incoming, response) => {
    incoming.resume()
    response.end(`${name} ${incoming.method} ${incoming.url}`)
  })

interface Words {
  readonly stable?: Readonly<Record<string, unknown>>
  readonly canary?: Readonly<Record<string, unknown>>
}

async function startWithCanary(
  t: ExecutionContext,
  { stable, canary }: Words,
  origins?: { readonly stable?: string; readonly canary?: string },
  env: Readonly<Record<string, string>> = {},
) {
  const urls = {
    stable: origins?.stable ?? (await named(t, 'stable')).origin,
    canary: origins?.canary ?? (await named(t, 'canary')).origin,
  }
  return startGateway(t, {
    env,
    file: {
      services: {
        users: {
          urls: urls.stable,
          path: '/api/users',
          strip: '/api',
          auth: 'none',
          openapi: false,
          ...stable,
        },
        'users-next': { urls: urls.canary, openapi: false, 'canary-of': 'users', ...canary },
      },
    },
  })
}

test('requests with the header go to the canary, on the very path; the others stay', async (t) => {
  const { url, access } = await startWithCanary(t, { canary: { 'canary-header': 'X-Canary=1' } })
  const ask = async (headers = {}, options = {}) =>
    (await request(`${url}/api/users/7?a`, { headers, ...options })).body
  t.is(await ask({ 'X-Canary': '1' }), 'canary GET /users/7?a')
  t.is(await ask({ 'x-canary': '1' }, { method: 'POST', body: 'x' }), 'canary POST /users/7?a')
  t.is(await ask({ 'X-Canary': ['0', '1'] }), 'canary GET /users/7?a')
  t.is(await ask(), 'stable GET /users/7?a')
  t.is(await ask({ 'X-Canary': '2' }), 'stable GET /users/7?a')
  t.is(await ask({ 'X-Canary': '1, 2' }), 'stable GET /users/7?a', 'the value is the whole value')
  t.deepEqual(
    access.map(({ service }) => service),
    ['users-next', 'users-next', 'users-next', 'users', 'users', 'users'],
  )
})

test('so many per cent of the requests go to the canary', async (t) => {
  const { url } = await startWithCanary(t, { canary: { 'canary-percent': '30%' } })
  let canary = 0
  for (let sent = 0; sent < 400; sent += 40) {
    const replies = await Promise.all(Array.from({ length: 40 }, () => request(`${url}/api/users`)))
    canary += replies.filter(({ body }) => body.startsWith('canary')).length
  }
  // Seven standard deviations either way.
  t.true(canary > 55 && canary < 185, `${canary} of 400`)
})

for (const [percent, answered] of [
  [0, 'stable'],
  [100, 'canary'],
] as const) {
  test(`with ${percent}% everything goes to the ${answered}`, async (t) => {
    const { url } = await startWithCanary(t, { canary: { 'canary-percent': percent } })
    for (let i = 0; i < 50; i += 1) t.true((await request(`${url}/api/users`)).body.startsWith(answered))
  })
}

test('a canary takes no path of its own', async (t) => {
  const { url } = await startWithCanary(t, {
    canary: { 'canary-percent': 50, path: '/api/secret', auth: 'none' },
  })
  t.is((await request(`${url}/api/users-next`)).status, 404)
  t.is((await request(`${url}/api/secret`)).status, 404)
})

for (const [title, words, status] of [
  [
    'the stable service asks for a token, the canary does not',
    { stable: { auth: 'required' }, canary: { auth: 'none' } },
    401,
  ],
  ['the canary asks for a token, the stable service does not', { canary: { auth: 'required' } }, 401],
  ['neither does', { canary: { auth: 'none' } }, 200],
  ['the canary says nothing of it', {}, 200],
] as const) {
  test(`the stricter guard of both holds: ${title}`, async (t) => {
    const words_: Words = words
    const { url } = await startWithCanary(t, {
      ...words_,
      canary: { 'canary-header': 'X-Canary=1', ...words_.canary },
    })
    t.is((await request(`${url}/api/users`, { headers: { 'X-Canary': '1' } })).status, status)
  })
}

test('scopes add up: the canary is passed by who has those of both', async (t) => {
  const issuer = await startIssuer(t)
  const { url } = await startWithCanary(
    t,
    {
      stable: { auth: 'required', scope: 'users:read' },
      canary: { 'canary-header': 'X-Canary=1', scope: 'beta' },
    },
    undefined,
    { TRUSTED_ISSUERS: issuer.setting },
  )
  const ask = async (scope: string) => {
    const headers = { authorization: `Bearer ${await issuer.token({ scope })}`, 'x-canary': '1' }
    return (await request(`${url}/api/users`, { headers })).status
  }
  t.deepEqual([await ask('beta'), await ask('users:read'), await ask('users:read beta')], [403, 403, 200])
})

test('what resembles a guarded path is guarded at the canary as well', async (t) => {
  const { url } = await startWithCanary(t, {
    stable: { path: ['/api/users', '/api/users/me; auth=required'] },
    canary: { 'canary-percent': 100 },
  })
  t.is((await request(`${url}/api/users/1`)).body, 'canary GET /users/1')
  for (const path of ['me', 'ME', 'me;x', 'me.json']) {
    t.is((await request(`${url}/api/users/${path}`)).status, 401, path)
  }
})

test('where the canary asks for more beneath a path than the stable service, it gets nothing there', async (t) => {
  const { url, lines } = await startWithCanary(t, {
    canary: { 'canary-percent': 100, path: ['/api/users', '/api/users/me; auth=required'] },
  })
  t.is((await request(`${url}/api/users/me`)).body, 'stable GET /users/me')
  t.true(lines.some(({ message }) => message.includes('asks for more at /api/users/me')))
})

test('a canary without instances is passed over', async (t) => {
  const { origin } = await named(t, 'stable')
  const { url } = await startGateway(t, {
    file: {
      services: {
        users: { urls: origin, auth: 'none', openapi: false },
        'users-next': { 'canary-of': 'users', 'canary-percent': 100, openapi: false },
      },
    },
  })
  t.is((await request(`${url}/api/users`)).body, 'stable GET /')
})

test('where a canary refuses, the stable service answers, whatever the method', async (t) => {
  const { url, access } = await startWithCanary(
    t,
    { canary: { 'canary-percent': 100 } },
    { canary: await deadOrigin() },
  )
  t.is((await request(`${url}/api/users/1`)).body, 'stable GET /users/1')
  t.is((await request(`${url}/api/users/1`, { method: 'POST', body: 'x' })).body, 'stable POST /users/1')
  t.like(access[0], { service: 'users', attempts: 2, status: 200 })
})

test('where the canary refuses and the stable service has nobody, that is said once', async (t) => {
  const dead = await deadOrigin()
  const { url, access } = await startWithCanary(
    t,
    { canary: { 'canary-percent': 100 } },
    { canary: dead, stable: `${dead}; weight=0` },
  )
  t.is(codeOf(await request(`${url}/api/users`)), 'no_instance')
  t.is(codeOf(await request(`${url}/api/users`, { method: 'POST', body: 'x' })), 'no_instance')
  t.like(access[0], { service: 'users', attempts: 1, status: 503 })
})

test('a canary that has taken a POST and breaks is the end of it: 502, and nobody else is asked', async (t) => {
  const canary = await scriptedUpstream(t, (socket) => void socket.resetAndDestroy())
  const stable = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const { url } = await startWithCanary(
    t,
    { canary: { 'canary-percent': 100 } },
    { canary: canary.origin, stable: stable.origin },
  )
  t.is(codeOf(await request(`${url}/api/users`, { method: 'POST', body: 'x' })), 'upstream_reset')
  t.is(canary.requests.length, 1)
  t.is(stable.requests.length, 0)
})

test('a canary that has enough to do leaves the rest to the stable service', async (t) => {
  let answer: (() => void) | undefined
  const canary = await httpUpstream(t, (_incoming, response) => {
    answer = () => response.end('canary')
  })
  const { url } = await startWithCanary(
    t,
    { canary: { 'canary-percent': 100, concurrency: 1, queue: 0 } },
    { canary: canary.origin },
  )
  const first = request(`${url}/api/users`)
  await until(() => answer !== undefined, 'the canary is busy')
  t.is((await request(`${url}/api/users/2`, { method: 'POST', body: 'x' })).body, 'stable POST /users/2')
  answer?.()
  t.is((await first).body, 'canary')
})

test(
  'an upload that has waited for the canary in vain has all its time at the stable service',
  inCalm(async (t) => {
    const canary = await httpUpstream(t, (_incoming, response) => void response.writeHead(200).write('begun'))
    const told: unknown[] = []
    const stable = await httpUpstream(t, (incoming, response) => {
      told.push(incoming.headers['x-request-timeout-ms'])
      incoming.resume().on('end', () => response.end('stable'))
    })
    const limit = { concurrency: 1, queue: 1, 'queue-timeout': '100ms', timeout: '300ms' }
    const { url, port } = await startWithCanary(
      t,
      { stable: { timeout: '20s' }, canary: { 'canary-percent': 100, ...limit } },
      { canary: canary.origin, stable: stable.origin },
    )
    const first = await fetch(`${url}/api/users`)
    const client = await rawClient(t, port)
    client.send('POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na')
    await until(() => told.length === 1, 'it is at the stable service')
    const left = Number(told[0])
    t.true(left > 300 && left <= 20_000, `${left}`)
    // Longer than the canary's deadline.
    await new Promise((resolve) => setTimeout(resolve, 500))
    client.send('b')
    t.regex(await client.receive('stable'), /^HTTP\/1\.1 200 /)
    await first.body?.cancel()
  }),
)

test('a WebSocket goes to the canary as well', async (t) => {
  const [stable, canary] = [await webSocketHouse(t), await webSocketHouse(t)]
  const { url } = await startWithCanary(
    t,
    { canary: { 'canary-header': 'X-Canary=1' } },
    { stable: stable.origin, canary: canary.origin },
  )
  await openWebSocket(t, `${url}/api/users`, { headers: { 'x-canary': '1' } })
  t.deepEqual([stable.opened.length, canary.opened.length], [0, 1])
  await openWebSocket(t, `${url}/api/users`)
  t.deepEqual([stable.opened.length, canary.opened.length], [1, 1])
})
