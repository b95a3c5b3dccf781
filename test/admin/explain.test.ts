import test, { type ExecutionContext } from 'ava'
import type { Explanation } from '../../src/admin/explain.ts'
import { startGateway } from '../support/gateway.ts'
import { publishedServices } from '../support/published-services.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { deadOrigin, httpUpstream, rawUpstream } from '../support/upstream.ts'

const users = {
  urls: ['http://127.0.0.1:9'],
  path: ['/api/users', '/api/user', '/api/user/me; auth=required; scope=profile'],
  strip: '/api',
  auth: 'none',
  openapi: false,
}
const shop = { urls: ['http://127.0.0.1:7'], path: '/api', auth: 'optional', openapi: false }

async function start(t: ExecutionContext, services: object = { users, shop }, env = {}) {
  const gateway = await startGateway(t, { file: { services }, env })
  async function explain(method: string, url: string): Promise<Explanation> {
    const reply = await request(`${gateway.url}/admin/explain?${new URLSearchParams({ method, url })}`)
    if (reply.status !== 200) throw new Error(`${reply.status} ${reply.body}`)
    return JSON.parse(reply.body)
  }
  return { ...gateway, explain }
}

test('the longest prefix is told with those that are shorter, and with what the house sees', async (t) => {
  const { explain } = await start(t)
  const told = await explain('get', '/api/users/1?x=1&y=%2F')
  t.like(told, {
    method: 'GET',
    outcome: 'forwarded',
    path: '/api/users/1',
    normalized: false,
    forwardedAs: 'GET /users/1?x=1&y=%2F',
    auth: { mode: 'none', scopes: [], stricter: false },
    route: { prefix: '/api/users', service: 'users', source: 'static', provenance: 'named', strip: '/api' },
  })
  t.deepEqual(told.match, {
    prefix: '/api/users',
    shorter: [{ prefix: '/api', service: 'shop' }],
    longer: [],
    resembles: [],
  })
  t.is(told.refusal, undefined)
})

test('longer prefixes that it is not under are told', async (t) => {
  const { explain } = await start(t)
  const { match, route } = await explain('GET', '/api/users2')
  t.is(route?.prefix, '/api')
  t.deepEqual(
    match?.longer.map(({ prefix }) => prefix),
    ['/api/user/me', '/api/users', '/api/user'],
  )
})

test('a path is put into its one form before it is matched', async (t) => {
  const { explain } = await start(t)
  const told = await explain('GET', 'http://www.example.com/api/us%65rs')
  t.like(told, { path: '/api/users', normalized: true, forwardedAs: 'GET /users' })
})

const refused: Record<string, readonly [method: string, url: string, status: number, code: string]> = {
  'a path with two readings': ['GET', '/api/users/../x', 400, 'ambiguous_path'],
  'an encoded slash': ['GET', '/api/users/a%2Fb', 400, 'ambiguous_path'],
  'what is no path': ['GET', 'api/users', 400, 'ambiguous_path'],
  TRACE: ['TRACE', '/api/users', 405, 'method_not_allowed'],
  CONNECT: ['CONNECT', '/api/users', 405, 'method_not_allowed'],
  'CONNECT to a path of the gateway’s own': ['CONNECT', '/docs', 405, 'method_not_allowed'],
  'CONNECT to a path with two readings': ['CONNECT', '/api/users/../x', 405, 'method_not_allowed'],
  'what is no method': ['FETCH', '/api/users', 400, 'bad_request'],
  'a path that leads nowhere': ['GET', '/elsewhere', 404, 'not_found'],
}
for (const [what, [method, url, status, code]] of Object.entries(refused)) {
  test(`${what} is refused as the door would`, async (t) => {
    const { explain, port } = await start(t)
    const told = await explain(method, url)
    t.is(told.outcome, 'refused')
    t.like(told.refusal, { status, code })
    t.is(told.route, undefined)
    if (!url.startsWith('/') || method === 'FETCH') return
    const client = await rawClient(t, port)
    client.send(`${method} ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    const { text } = await client.ended()
    t.true(text.startsWith(`HTTP/1.1 ${status} `), text)
    t.true(text.includes(`"code":"${code}"`), text)
  })
}

test('where nothing leads on, what may have been meant is told', async (t) => {
  const { explain } = await start(t, { users })
  const { nearMisses } = await explain('GET', '/API/users/1')
  t.deepEqual(
    nearMisses?.map(({ prefix }) => prefix),
    ['/api/users', '/api/user'],
  )
})

test('the gateway’s own endpoints are told as such', async (t) => {
  const { explain } = await start(t)
  for (const url of ['/', '/docs', '/livez', '/tokens/create', '/admin/routes']) {
    t.like(await explain('GET', url), { outcome: 'own', path: url })
  }
})

test('a look-alike of a guarded path is told with what it resembles', async (t) => {
  const { explain } = await start(t)
  for (const url of ['/api/user/ME', '/api/user/me;x', '/api/user/me.json']) {
    const { auth, match, route } = await explain('GET', url)
    t.is(route?.prefix, '/api/user', url)
    t.is(route?.auth, 'none')
    t.deepEqual(auth, { mode: 'required', scopes: ['profile'], stricter: true })
    t.deepEqual(match?.resembles, [{ prefix: '/api/user/me', service: 'users' }])
  }
  const { auth } = await explain('GET', '/api/user/me')
  t.deepEqual(auth, { mode: 'required', scopes: ['profile'], stricter: false })
})

test('a service without an instance is told as what it would answer', async (t) => {
  const { url } = await startGateway(t, { services: publishedServices([]) })
  const reply = await request(`${url}/admin/explain?method=GET&url=/api/house`)
  const told = JSON.parse(reply.body)
  t.like(told, {
    outcome: 'refused',
    refusal: { status: 503, code: 'no_instance' },
    route: { instances: [] },
  })
  t.is((await request(`${url}/api/house`)).status, 503)
})

/** A service none of whose instances is to be sent anything, beside a canary that answers. */
async function startWithCanaryOnly(t: ExecutionContext, words: object) {
  const next = await httpUpstream(t, (_request, response) => response.end('next'))
  const open = { auth: 'none', openapi: false }
  return start(t, {
    users: { ...open, urls: 'http://127.0.0.1:9; weight=0', path: '/api/users' },
    next: { ...open, urls: next.origin, timeout: '3s', 'canary-of': 'users', ...words },
  })
}

test('where only the canary has an instance, and gets every request, they are forwarded', async (t) => {
  const { explain, url } = await startWithCanaryOnly(t, { 'canary-percent': 100 })
  const told = await explain('GET', '/api/users/1')
  t.like(told, { outcome: 'forwarded', byCanary: 'all', timeouts: { requestMs: 3000 } })
  t.is(told.refusal, undefined)
  t.is((await request(`${url}/api/users/1`)).body, 'next')
})

for (const [what, words, headers] of [
  ['a share', { 'canary-percent': 50 }, {}],
  ['those with its header', { 'canary-header': 'X-Canary=1' }, { 'X-Canary': '1' }],
] as const) {
  test(`where only the canary has an instance, and gets ${what}, the others are refused`, async (t) => {
    const { explain, url } = await startWithCanaryOnly(t, words)
    t.like(await explain('GET', '/api/users/1'), {
      outcome: 'refused',
      refusal: { status: 503, code: 'no_instance' },
      byCanary: 'some',
      route: { canary: { service: 'next' } },
    })
    const statuses = new Set<number>()
    // Of a hundred draws that all come out the same nobody has ever heard.
    for (let i = 0; i < 50; i += 1) {
      statuses.add((await request(`${url}/api/users/1`, { headers })).status)
      statuses.add((await request(`${url}/api/users/1`)).status)
      if (statuses.size === 2) break
    }
    t.deepEqual([...statuses].sort(), [200, 503])
  })
}

test('a canary that gets nothing answers nothing', async (t) => {
  const { explain, url } = await startWithCanaryOnly(t, { 'canary-percent': 0 })
  const told = await explain('GET', '/api/users/1')
  t.is(told.outcome, 'refused')
  t.is(told.byCanary, undefined)
  t.is((await request(`${url}/api/users/1`)).status, 503)
})

test('a canary beside a service with instances answers what it is given', async (t) => {
  const next = { urls: 'http://127.0.0.1:8', openapi: false, 'canary-of': 'users' }
  const some = await start(t, { users, next: { ...next, 'canary-percent': 50 } })
  t.is((await some.explain('GET', '/api/users')).byCanary, undefined)
  const all = await start(t, { users, next: { ...next, 'canary-percent': 100, auth: 'required' } })
  t.like(await all.explain('GET', '/api/users'), {
    outcome: 'forwarded',
    byCanary: 'all',
    auth: { mode: 'required' },
  })
})

test('retries are told by method and by what went wrong', async (t) => {
  const urls = [1, 2, 3, 4].map((n) => `http://127.0.0.1:${n}`)
  const { explain } = await start(t, { house: { urls, auth: 'none', openapi: false, retries: 2 } })
  t.deepEqual((await explain('GET', '/api/house')).retries, { notSent: 2, reset: 2, resetWithBody: 0 })
  t.deepEqual((await explain('POST', '/api/house')).retries, { notSent: 2, reset: 0, resetWithBody: 0 })
})

test('asking about retries takes none of them', async (t) => {
  const house = await rawUpstream(t, (socket) => socket.on('data', () => socket.destroy()))
  const { explain, url, access } = await start(t, {
    house: { urls: [house.origin], auth: 'none', openapi: false, retries: 1 },
  })
  for (let i = 0; i < 100; i += 1) await explain('GET', '/api/house')
  t.is((await request(`${url}/api/house`)).status, 502)
  const attempts = access.find(({ path }) => path === '/api/house')?.attempts
  t.is(attempts, 2)
})

test('an ejected instance is told with the reason and the time', async (t) => {
  const dead = await deadOrigin()
  const house = await httpUpstream(t, (_request, response) => response.end('house'))
  const { explain, url } = await start(t, {
    house: { urls: [dead, house.origin], auth: 'none', openapi: false, balance: 'round-robin' },
  })
  for (let i = 0; i < 12; i += 1) await request(`${url}/api/house`)
  const { route, outcome } = await explain('GET', '/api/house')
  const [ejected, other] = ['dead', 'alive'].map((which) =>
    route?.instances.find(({ origin }) => (origin === dead) === (which === 'dead')),
  )
  t.is(outcome, 'forwarded')
  t.like(other, { usable: true, inFlight: 0, consecutiveFailures: 0 })
  t.like(ejected, { usable: false, ejections: 1, consecutiveFailures: 5 })
  t.true((ejected?.ejectedForMs ?? 0) > 0)
  t.regex(ejected?.reason ?? '', /^ejected for another \d+ s after 5 failures in a row$/)
})

test('headers are told as the proxy treats them', async (t) => {
  const { explain } = await start(t, { users, shop }, { USER_ID_HEADER: 'X-Subject' })
  const open = (await explain('GET', '/api/users')).headers
  for (const name of [
    'Connection',
    'X-Forwarded-For',
    'X-User-Id',
    'x-subject',
    'Via',
    'Proxy-Authorization',
  ]) {
    t.true(open?.removed.includes(name), name)
  }
  for (const name of ['Authorization', 'Cookie']) t.false(open?.removed.includes(name), name)
  t.true(open?.added.includes('x-forwarded-for: 127.0.0.1'))
  t.false(open?.added.some((line) => line.startsWith('X-Subject')))
  const guarded = (await explain('GET', '/api/user/me')).headers
  t.true(guarded?.added.includes('X-Subject: <subject>'))
})

test('a provider that is injected and not configured is told', async (t) => {
  const { explain } = await start(t, { users: { ...users, auth: 'required', inject: 'google' } })
  t.deepEqual((await explain('GET', '/api/users')).inject, {
    provider: 'google',
    header: 'X-Provider-Token',
    configured: false,
  })
})

test('nothing is sent to a house', async (t) => {
  let count = 0
  const house = await httpUpstream(t, (_request, response) => {
    count += 1
    response.end()
  })
  const { explain } = await start(t, { house: { urls: [house.origin], auth: 'none', openapi: false } })
  await explain('GET', '/api/house')
  await explain('POST', '/api/house')
  t.is(count, 0)
})

for (const query of ['', '?method=GET', '?url=/', '?method=&url=/', '?method=GET&url=/&url=/x']) {
  test(`/admin/explain${query} asks for one method and one URL`, async (t) => {
    const { url } = await start(t)
    const reply = await request(`${url}/admin/explain${query}`)
    t.is(reply.status, 400)
    t.regex(reply.body, /Expected one method and one url/)
  })
}
