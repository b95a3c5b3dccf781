import test, { type ExecutionContext } from 'ava'
import { cachedHouse, tell } from '../support/cached-house.ts'
import { startGateway } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { request } from '../support/request.ts'
import { httpUpstream } from '../support/upstream.ts'

/** A guarded house that answers with who is calling, as the gateway tells it, and with these headers. */
async function guarded(
  t: ExecutionContext,
  headers: Readonly<Record<string, string>>,
  description: Readonly<Record<string, unknown>> = { auth: 'required' },
) {
  const issuer = await startIssuer(t)
  const house = await cachedHouse(
    t,
    (incoming, response) =>
      tell(response, { headers, body: `for ${incoming.headers['x-user-id'] ?? 'nobody'}` }),
    description,
    { TRUSTED_ISSUERS: issuer.setting },
  )
  const as = async (sub: string) => ({ authorization: `Bearer ${await issuer.token({ sub })}` })
  return {
    ...house,
    minji: await as('minji'),
    hana: await as('hana'),
    bodyFor: async (who: Readonly<Record<string, string>>) => (await house.ask('/me', { headers: who })).body,
  }
}

test('of a guarded route no user gets another’s reply, nor is his own stored', async (t) => {
  const { bodyFor, minji, hana, asked } = await guarded(t, {})
  t.is(await bodyFor(minji), 'for minji')
  t.is(await bodyFor(hana), 'for hana')
  t.is(await bodyFor(minji), 'for minji')
  t.is(asked.length, 3)
})

test('nor where the reply says max-age, with a validator', async (t) => {
  const { bodyFor, minji, hana, asked } = await guarded(t, { 'cache-control': 'max-age=60', etag: '"same"' })
  t.is(await bodyFor(minji), 'for minji')
  t.is(await bodyFor(hana), 'for hana')
  t.deepEqual(
    asked.map(({ headers }) => headers['if-none-match']),
    [undefined, undefined],
  )
})

test('what such a route says is public is given to everybody who may pass, and to nobody else', async (t) => {
  const { bodyFor, minji, hana, asked, ask } = await guarded(t, { 'cache-control': 'public' })
  t.is(await bodyFor(minji), 'for minji')
  t.is(await bodyFor(hana), 'for minji')
  t.is(asked.length, 1)
  t.is((await ask('/me')).status, 401)
  t.is((await ask('/me', { headers: { authorization: 'Bearer invented' } })).status, 401)
})

test('a house that varies by who is calling is asked for each of them once', async (t) => {
  const { bodyFor, minji, hana, asked } = await guarded(t, { 'cache-control': 'public', vary: 'X-User-Id' })
  for (let round = 0; round < 2; round++) {
    t.is(await bodyFor(minji), 'for minji')
    t.is(await bodyFor(hana), 'for hana')
  }
  t.is(asked.length, 2)
})

test('a client cannot put itself in the place of a user by sending his header', async (t) => {
  const { bodyFor, minji, asked } = await guarded(
    t,
    { 'cache-control': 'public', vary: 'X-User-Id' },
    { auth: 'optional' },
  )
  t.is(await bodyFor(minji), 'for minji')
  t.is(await bodyFor({ 'x-user-id': 'minji' }), 'for nobody')
  t.is(asked.length, 2)
})

test('where callers may say who they are, the reply to nobody is not given to those who do', async (t) => {
  const { bodyFor, minji, asked } = await guarded(t, {}, { auth: 'optional' })
  t.is(await bodyFor({}), 'for nobody')
  t.is(await bodyFor(minji), 'for minji')
  t.is(await bodyFor({}), 'for nobody')
  t.is(asked.length, 2)
})

test('users who ask at once for what turns out to be theirs alone each get their own', async (t) => {
  const { bodyFor, minji, hana } = await guarded(t, {})
  const all = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => [i % 2, await bodyFor(i % 2 === 0 ? minji : hana)] as const),
  )
  for (const [who, body] of all) t.is(body, who === 0 ? 'for minji' : 'for hana')
})

test('replies that were made with a caller’s token of a provider are never stored', async (t) => {
  const house = await cachedHouse(t, [{ headers: { 'cache-control': 'public, max-age=60' } }], {
    auth: 'optional',
    inject: 'kakao',
  })
  await house.ask('/x')
  const { headers } = await house.ask('/x')
  t.is(house.asked.length, 2)
  t.is(headers['cache-status'], undefined)
})

for (const name of [
  'X-Api-Key',
  'apikey',
  'X.Api.Key',
  'Ocp-Apim-Subscription-Key',
  'Private-Token',
  'X-Auth-Request-Email',
  'X-Session-Id',
  'X-Amz-Security-Token',
  'Cf-Access-Jwt-Assertion',
  'Remote-User',
]) {
  test(`of two callers who show by ${name} who they are neither gets the other’s reply`, async (t) => {
    const house = await cachedHouse(t, (_incoming, response) =>
      tell(response, { body: `${house.asked.length}` }),
    )
    t.is((await house.ask('/me', { headers: { [name]: 'minji' } })).body, '1')
    t.is((await house.ask('/me', { headers: { [name]: 'hana' } })).body, '2')
  })
}

test('the host that a client asked for, which houses build links from, is part of the key', async (t) => {
  const house = await cachedHouse(t, (incoming, response) =>
    tell(response, { body: `https://${incoming.headers['x-forwarded-host']}/next` }),
  )
  const bodyAt = async (host: string) => (await house.ask('/x', { headers: { host } })).body
  t.is(await bodyAt('evil.example'), 'https://evil.example/next')
  t.is(await bodyAt('www.example.com'), 'https://www.example.com/next')
  t.is(await bodyAt('evil.example'), 'https://evil.example/next')
  t.is(house.asked.length, 2)
})

test('so is the scheme, where a trusted proxy tells it', async (t) => {
  const house = await cachedHouse(
    t,
    (incoming, response) => tell(response, { body: String(incoming.headers['x-forwarded-proto']) }),
    {},
    { TRUSTED_PROXIES: '127.0.0.1' },
  )
  const bodyBy = async (scheme: string) =>
    (await house.ask('/x', { headers: { 'x-forwarded-proto': scheme } })).body
  t.is(await bodyBy('http'), 'http')
  t.is(await bodyBy('https'), 'https')
})

test('a request with a body is none of the cache’s business, whatever its method', async (t) => {
  const house = await cachedHouse(t, (_incoming, response) =>
    tell(response, { body: `${house.asked.length}` }),
  )
  t.is((await house.ask('/x', { body: 'other', headers: { 'content-length': '5' } })).body, '1')
  t.is((await house.ask('/x')).body, '2')
  t.is((await house.ask('/x', { body: 'other', headers: { 'content-length': '5' } })).body, '3')
})

test('the query is part of the key, letter by letter', async (t) => {
  const house = await cachedHouse(t, (incoming, response) => tell(response, { body: incoming.url! }))
  for (const path of ['/x', '/x?a=1&b=2', '/x?b=2&a=1', '/x/', '/X']) {
    t.true((await house.ask(path)).body.endsWith(path))
  }
  t.is(house.asked.length, 5)
})

test('two services that see the same path have each their own replies', async (t) => {
  const named = (name: string) => httpUpstream(t, (_incoming, response) => response.end(name))
  const [users, orders] = [await named('users'), await named('orders')]
  const common = { auth: 'none', openapi: false, cache: '10m' }
  const { url } = await startGateway(t, {
    file: {
      services: {
        users: { urls: users.origin, path: '/api/users', strip: '/api/users', ...common },
        orders: { urls: orders.origin, path: '/api/orders', strip: '/api/orders', ...common },
      },
    },
  })
  t.is((await request(`${url}/api/users/1`)).body, 'users')
  t.is((await request(`${url}/api/orders/1`)).body, 'orders')
  t.is((await request(`${url}/api/users/1`)).body, 'users')
})

test('what the canary answered is not taken for the stable service’s, nor the other way round', async (t) => {
  const named = (name: string) => httpUpstream(t, (_incoming, response) => response.end(name))
  const [stable, canary] = [await named('stable'), await named('canary')]
  const common = { openapi: false, cache: '10m', auth: 'none' }
  const { url } = await startGateway(t, {
    file: {
      services: {
        users: { urls: stable.origin, path: '/api/users', ...common },
        'users-next': {
          ...{ urls: canary.origin, 'canary-of': 'users', 'canary-header': 'X-Canary=1', ...common },
        },
      },
    },
  })
  const toCanary = { headers: { 'x-canary': '1' } }
  for (let round = 0; round < 2; round++) {
    t.is((await request(`${url}/api/users`, toCanary)).body, 'canary')
    t.is((await request(`${url}/api/users`)).body, 'stable')
  }
  await canary.close()
  t.is((await request(`${url}/api/users`, toCanary)).body, 'canary')
  // Nobody is at the canary: the stable service answers in its place.
  const answer = await request(`${url}/api/users/2`, toCanary)
  t.is(answer.body, 'stable')
  t.false(answer.headers['cache-status']!.includes('stored'))
})

test('explain says what becomes of replies, and that a provider’s token keeps them from being stored', async (t) => {
  const urls = 'http://127.0.0.1:9'
  const { url } = await startGateway(t, {
    file: {
      services: {
        news: { urls, cache: '5m', openapi: false },
        mine: { urls, cache: '5m', inject: 'kakao', openapi: false },
      },
    },
  })
  const routeOf = async (path: string) => {
    const { body } = await request(`${url}/admin/explain?method=GET&url=${path}`)
    return (JSON.parse(body) as { route: { cache?: unknown } }).route.cache
  }
  t.deepEqual(await routeOf('/api/news'), { defaultSeconds: 300 })
  t.is(await routeOf('/api/mine'), undefined)
  const { problems } = JSON.parse((await request(`${url}/admin/routes`)).body) as { problems: string[] }
  t.deepEqual(problems, [
    'service mine: replies made with the caller’s token of kakao are never stored: cache has no effect'.replace(
      '’',
      "'",
    ),
  ])
})
