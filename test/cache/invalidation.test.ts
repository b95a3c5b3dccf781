import type { ServerResponse } from 'node:http'
import test from 'ava'
import { cachedHouse, tell } from '../support/cached-house.ts'
import { startGateway } from '../support/gateway.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

/** GETs are answered with how often the house has been asked, everything else with this. */
const counting = (
  told: { status?: number; headers?: Readonly<Record<string, string>> } = {},
  asked: () => number,
) =>
  function answer({ method }: { method?: string | undefined }, response: ServerResponse): void {
    tell(response, method === 'GET' ? { headers: { vary: 'X-Kind' }, body: String(asked()) } : told)
  }

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PURGE']) {
  test(`what is stored for a URI is forgotten after a ${method} of it, all its variants`, async (t) => {
    const house = await cachedHouse(t, (incoming, response) =>
      counting({ status: 200 }, () => house.asked.length)(incoming, response),
    )
    const variants = [{}, { headers: { 'x-kind': 'b' } }]
    for (const variant of variants) await house.ask('/x', variant)
    t.is((await house.ask('/x')).body, '1')
    const changed = await house.ask('/x', { method })
    t.is(changed.headers['cache-status'], 'munjigi; fwd=method')
    t.deepEqual([(await house.ask('/x')).body, (await house.ask('/x', variants[1])).body], ['4', '5'])
  })
}

for (const [status, isForgotten] of [
  [201, true],
  [303, true],
  [500, true],
  [400, false],
  [403, false],
] as const) {
  test(`a POST that is answered ${status} ${isForgotten ? 'changes' : 'leaves'} what is stored`, async (t) => {
    const house = await cachedHouse(t, (incoming, response) =>
      counting({ status }, () => house.asked.length)(incoming, response),
    )
    await house.ask('/x')
    await house.ask('/x', { method: 'POST' })
    t.is((await house.ask('/x')).body, isForgotten ? '3' : '1')
  })
}

test('a PUT of which nobody knows what became of it makes the gateway forget', async (t) => {
  const house = await cachedHouse(
    t,
    (incoming, response) => {
      if (incoming.method === 'PUT') response.socket!.destroy()
      else tell(response, { body: String(house.asked.length) })
    },
    { retries: 0 },
  )
  await house.ask('/x')
  t.is((await house.ask('/x', { method: 'PUT' })).status, 502)
  t.is((await house.ask('/x')).body, '3')
})

for (const [how, headers] of [
  ['Location, as the client sees it', { location: '/api/house/x' }],
  ['Location, as the house sees it', { location: '/x' }],
  ['Content-Location', { 'content-location': '/api/house/x' }],
] as const) {
  test(`what is stored for the URI that a POST names is forgotten: ${how}`, async (t) => {
    const house = await cachedHouse(t, (incoming, response) =>
      counting({ status: 201, headers }, () => house.asked.length)(incoming, response),
    )
    await house.ask('/x')
    await house.ask('/list', { method: 'POST' })
    t.is((await house.ask('/x')).body, '3')
  })
}

for (const [who, changing, reading] of [
  ['the stable service', {}, { 'x-canary': '1' }],
  ['the canary', { 'x-canary': '1' }, {}],
] as const) {
  test(`what ${who} changes is forgotten of the other as well`, async (t) => {
    let count = 0
    const house = await httpUpstream(t, (incoming, response) => {
      incoming.resume()
      count += 1
      response.end(String(count))
    })
    const common = { urls: house.origin, openapi: false, cache: '10m', auth: 'none' }
    const { url } = await startGateway(t, {
      file: {
        services: {
          users: { path: '/api/users', ...common },
          'users-next': { 'canary-of': 'users', 'canary-header': 'X-Canary=1', ...common },
        },
      },
    })
    const ask = (method: string, headers: Readonly<Record<string, string>>) =>
      request(`${url}/api/users/1`, { method, headers })
    t.is((await ask('GET', reading)).body, '1')
    t.is((await ask('GET', reading)).body, '1')
    await ask('PUT', changing)
    t.is((await ask('GET', reading)).body, '3')
  })
}

test('a POST that no instance has been sent leaves what is stored', async (t) => {
  const house = await cachedHouse(t, [{ body: 'first' }], { retries: 0 })
  await house.ask('/x')
  await house.close()
  t.is((await house.ask('/x', { method: 'POST' })).status, 502)
  t.is((await house.ask('/x')).body, 'first')
})

test('a Location on another host is none of this one’s business', async (t) => {
  const house = await cachedHouse(t, (incoming, response) =>
    counting({ status: 201, headers: { location: 'https://other.example/api/house/x' } }, () => 0)(
      incoming,
      response,
    ),
  )
  await house.ask('/x')
  await house.ask('/list', { method: 'POST' })
  t.true((await house.ask('/x')).headers['cache-status']!.includes('hit'))
})

test('a GET that was on its way while the resource was changed is not stored', async (t) => {
  let old: ServerResponse | undefined
  const house = await cachedHouse(t, (incoming, response) => {
    if (incoming.method === 'PUT') tell(response, { status: 204 })
    else if (old === undefined) old = response
    else tell(response, { body: 'new' })
  })
  const first = house.ask('/x')
  await until(() => old !== undefined, 'the house is asked')
  await house.ask('/x', { method: 'PUT' })
  tell(old!, { body: 'old' })
  t.is((await first).body, 'old')
  t.is((await house.ask('/x')).body, 'new')
})

test('another URI’s replies stay', async (t) => {
  const house = await cachedHouse(t, (incoming, response) =>
    counting({}, () => house.asked.length)(incoming, response),
  )
  await house.ask('/x')
  await house.ask('/y', { method: 'POST' })
  t.is((await house.ask('/x')).body, '1')
})
