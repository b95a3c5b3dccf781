import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { cachedHouse, tell } from '../support/cached-house.ts'
import { inCalm } from '../support/calm.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { keepAliveAgent, request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'
import { scriptedUpstream } from '../support/upstream.ts'

const modified = 'Mon, 01 Jan 2024 00:00:00 GMT'
const headers = {
  etag: 'W/"v1"',
  'last-modified': modified,
  'content-type': 'text/plain',
  'content-language': 'ko',
  'cache-control': 'max-age=60',
  'x-kind': ['a', 'b'],
}

for (const [what, condition, status] of [
  ['the ETag', { 'if-none-match': 'W/"v1"' }, 304],
  ['the ETag as a strong one', { 'if-none-match': '"v1"' }, 304],
  ['a list with the ETag', { 'if-none-match': '"v0", W/"a, b" , W/"v1"' }, 304],
  ['the ETag in a second header', { 'if-none-match': ['"v0"', '"v1"'] }, 304],
  ['any ETag', { 'if-none-match': '*' }, 304],
  ['another ETag', { 'if-none-match': '"v2"' }, 200],
  ['an ETag that begins like it', { 'if-none-match': '"v1x"' }, 200],
  [
    'another ETag, though the date would hold',
    { 'if-none-match': '"v2"', 'if-modified-since': modified },
    200,
  ],
  ['the date', { 'if-modified-since': modified }, 304],
  ['a later date', { 'if-modified-since': 'Tue, 02 Jan 2024 00:00:00 GMT' }, 304],
  ['a date in the form of RFC 850', { 'if-modified-since': 'Tuesday, 02-Jan-24 00:00:00 GMT' }, 304],
  ['an earlier date', { 'if-modified-since': 'Sun, 31 Dec 2023 00:00:00 GMT' }, 200],
  ['no date at all', { 'if-modified-since': '2030' }, 200],
] as const) {
  test(`a client that has ${what} gets ${status} from the store`, async (t) => {
    const house = await cachedHouse(t, [{ headers, body: 'body' }])
    await house.ask('/x')
    const reply = await house.ask('/x', { headers: condition })
    t.is(reply.status, status)
    t.is(reply.body, status === 304 ? '' : 'body')
    t.is(house.asked.length, 1)
    t.is(reply.headers.etag, headers.etag)
    t.is(reply.headers['content-type'], status === 304 ? undefined : 'text/plain')
    t.is(reply.headers['content-length'], status === 304 ? undefined : '4')
    t.is(reply.headers['cache-control'], 'max-age=60')
  })
}

test('a stored reply is the house’s, header for header, with its age and what is said of each reply', async (t) => {
  const house = await cachedHouse(t, [
    {
      headers: {
        ...headers,
        date: new Date(Date.now() - 1000_000).toUTCString(),
        'cache-control': 'max-age=2000',
      },
      body: 'body',
    },
  ])
  const first = await house.ask('/x')
  const { rawHeaders, ...second } = await house.ask('/x')
  t.is(second.status, 200)
  t.is(second.headers['x-kind'], 'a, b')
  t.is(rawHeaders.filter((name) => name === 'x-kind').length, 2)
  for (const name of ['etag', 'last-modified', 'content-type', 'content-language', 'date'] as const) {
    t.is(second.headers[name], first.headers[name])
  }
  t.true(Number(second.headers.age) >= 1000)
  t.regex(second.headers['cache-status'] as string, /^munjigi; hit; ttl=9\d\d$/)
  t.truthy(second.headers['x-request-id'])
  t.not(second.headers['x-request-id'], first.headers['x-request-id'])
})

test('HEAD of a stored GET has its headers and no body, and the connection goes on', async (t) => {
  const house = await cachedHouse(t, [{ headers, body: 'body' }])
  const agent = keepAliveAgent(t)
  await house.ask('/x', { agent })
  const head = await house.ask('/x', { method: 'HEAD', agent })
  t.is(head.headers['content-length'], '4')
  t.is(head.body, '')
  t.is((await house.ask('/x', { agent })).body, 'body')
  t.is(house.asked.length, 1)
})

test('a HEAD stores nothing', async (t) => {
  const house = await cachedHouse(t, [
    { headers, body: '' },
    { headers, body: 'body' },
  ])
  await house.ask('/x', { method: 'HEAD' })
  t.is((await house.ask('/x')).body, 'body')
})

test('a 304 to conditions of the client’s own is passed on, and stores nothing', async (t) => {
  const house = await cachedHouse(t, [
    { status: 304, headers: { etag: '"v1"' } },
    { headers, body: 'body' },
  ])
  const conditional = await house.ask('/x', { headers: { 'if-none-match': '"v1"' } })
  t.is(conditional.status, 304)
  t.is(house.asked[0]!.headers['if-none-match'], '"v1"')
  t.is((await house.ask('/x')).body, 'body')
})

test('a stale reply is renewed by a 304, with what the 304 says and without what it has of a body', async (t) => {
  const house = await cachedHouse(t, [
    {
      headers: { etag: '"v1"', age: 90, 'cache-control': 'max-age=60', 'x-a': '1', 'x-b': '1' },
      body: 'body',
    },
    {
      status: 304,
      headers: {
        etag: '"v1"',
        'cache-control': 'max-age=600',
        'x-a': '2',
        'x-c': '2',
        'content-type': 'x/y',
      },
    },
  ])
  await house.ask('/x')
  for (const status of [/^munjigi; fwd=stale; fwd-status=304; stored$/, /^munjigi; hit; ttl=5\d\d$/]) {
    const reply = await house.ask('/x')
    t.like(reply.headers, { 'x-a': '2', 'x-b': '1', 'x-c': '2', 'cache-control': 'max-age=600' })
    t.is(reply.headers['content-type'], undefined)
    t.is(reply.body, 'body')
    t.regex(reply.headers['cache-status'] as string, status)
  }
  t.is(house.asked.length, 2)
})

test('a client whose own ETag is old gets the renewed reply, one whose ETag is that gets 304', async (t) => {
  const stale = { etag: '"v1"', age: 90, 'cache-control': 'max-age=60' }
  const house = await cachedHouse(t, [
    { headers: stale, body: 'body' },
    { status: 304, headers: { etag: '"v1"', 'cache-control': 'max-age=0' } },
  ])
  await house.ask('/x')
  t.is((await house.ask('/x', { headers: { 'if-none-match': '"v0"' } })).body, 'body')
  t.is(house.asked[1]!.headers['if-none-match'], '"v1"')
  t.is((await house.ask('/x', { headers: { 'if-none-match': '"v1"' } })).status, 304)
})

test('a 304 that says no-store is the last that is heard of a stored reply', async (t) => {
  const stale = { etag: '"v1"', age: 90, 'cache-control': 'max-age=60' }
  const house = await cachedHouse(t, [
    { headers: stale, body: 'body' },
    { status: 304, headers: { etag: '"v1"', 'cache-control': 'no-store' } },
    { headers: { 'cache-control': 'max-age=60' }, body: 'new' },
  ])
  await house.ask('/x')
  t.is((await house.ask('/x')).body, 'body')
  t.is((await house.ask('/x')).body, 'new')
  t.is(house.asked[2]!.headers['if-none-match'], undefined)
})

test('a 304 about another ETag renews nothing', async (t) => {
  const stale = { etag: '"v1"', age: 90, 'cache-control': 'max-age=60' }
  const house = await cachedHouse(t, [
    { headers: stale, body: 'body' },
    { status: 304, headers: { etag: '"v2"', 'cache-control': 'max-age=60' } },
    { headers: { 'cache-control': 'max-age=60' }, body: 'new' },
  ])
  await house.ask('/x')
  const reply = await house.ask('/x')
  t.is(reply.body, 'body')
  t.is(reply.headers.etag, '"v1"')
  t.is((await house.ask('/x')).body, 'new')
})

test('a reply that was renewed by a 304 without a date is as old as the 304, not as the reply before', async (t) => {
  const house = await scriptedUpstream(t, (socket, _head, count) => {
    if (count > 1) socket.write('HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n')
    else {
      socket.write(
        `HTTP/1.1 200 OK\r\nDate: ${modified}\r\nETag: "v1"\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nbody`,
      )
    }
  })
  const { url } = await startGatewayFor(t, house.origin, { cache: '10m' })
  for (let round = 0; round < 3; round++) t.is((await request(`${url}/api/house/x`)).body, 'body')
  t.is(house.requests.length, 2)
})

test('what is left to the caller for whom a reply was stored is told to nobody else', async (t) => {
  const left = { ratelimit: '"house";r=3', 'ratelimit-policy': '"house";q=9', 'x-ratelimit-remaining': '3' }
  const house = await cachedHouse(t, [{ headers: left, body: 'body' }])
  t.like((await house.ask('/x')).headers, left)
  const { headers: stored } = await house.ask('/x')
  for (const name of Object.keys(left)) t.is(stored[name], undefined)
})

test('a stored reply is given where the house cannot be reached, as long as it permits', async (t) => {
  const house = await cachedHouse(
    t,
    [
      { headers: { age: 90, 'cache-control': 'max-age=60, stale-if-error=600' }, body: 'body' },
      (response) => response.socket!.destroy(),
    ],
    { retries: 0 },
  )
  await house.ask('/x')
  const reply = await house.ask('/x')
  t.is(reply.status, 200)
  t.is(reply.body, 'body')
  t.is(reply.headers['cache-status'], 'munjigi; fwd=stale; detail=upstream_reset')
})

test(
  'also where it is silent until the deadline, and where its error never ends',
  inCalm(async (t) => {
    const house = await cachedHouse(
      t,
      (_incoming, response) => {
        const count = house.asked.length
        if (count === 1) {
          tell(response, {
            headers: { age: 90, 'cache-control': 'max-age=60, stale-if-error=600' },
            body: 'body',
          })
        } else if (count > 2) {
          response.writeHead(503)
          response.write('and so on')
        }
      },
      { retries: 0, timeout: '2s' },
    )
    await house.ask('/x')
    t.is((await house.ask('/x')).headers['cache-status'], 'munjigi; fwd=stale; detail=upstream_timeout')
    const agent = keepAliveAgent(t)
    const reply = await house.ask('/x', { agent })
    t.is(reply.headers['cache-status'], 'munjigi; fwd=stale; fwd-status=503; detail=stale-if-error')
    t.is(reply.body, 'body')
    t.is((await house.ask('/x', { agent })).body, 'body')
  }),
)

test('CORS is of this reply’s reader, not of him for whom it was stored', async (t) => {
  const house = await cachedHouse(
    t,
    [{ headers: { ...headers, 'access-control-allow-origin': 'https://house.example' }, body: 'body' }],
    {},
    { CORS_ORIGINS: 'https://a.example,https://b.example' },
  )
  const allowedFor = async (origin: string) =>
    (await house.ask('/x', { headers: { origin } })).headers['access-control-allow-origin']
  t.is(await allowedFor('https://a.example'), 'https://a.example')
  t.is(await allowedFor('https://b.example'), 'https://b.example')
  t.is(await allowedFor('https://c.example'), undefined)
  t.is(house.asked.length, 1)
  t.is((await house.ask('/x')).headers.vary, 'Origin')
})

test('a stored reply says that the gateway is leaving, when it is', async (t) => {
  const house = await cachedHouse(t, [{ headers, body: 'body' }], {}, { DRAIN_DELAY: '2s' })
  const agent = keepAliveAgent(t)
  await house.ask('/x', { agent })
  t.is((await house.ask('/x', { agent })).headers.connection, 'keep-alive')
  const stopped = house.gateway.gateway.stop()
  t.is((await house.ask('/x', { agent })).headers.connection, 'close')
  await stopped
})

test('a stored reply is a request in the access log and in the metrics, and no attempt at an instance', async (t) => {
  const house = await cachedHouse(t, [{ headers, body: 'body' }])
  await house.ask('/x')
  await house.ask('/x')
  await until(() => house.gateway.access.length === 2, 'both lines')
  t.is(house.gateway.access[0]!.cache, 'miss')
  t.like(house.gateway.access[1], {
    ...{ status: 200, bytesSent: 4, service: 'house', attempts: 0 },
    cache: 'hit',
  })
  t.is(house.gateway.access[1]!.instance, undefined)
  await house.ask('/x', { method: 'POST' })
  const scraped = await scrape(house.gateway.url)
  const results = (result: string) =>
    scraped.value(`munjigi_cache_requests_total{service="house",result="${result}"}`)
  t.deepEqual([results('hit'), results('miss'), results('bypass')], [1, 1, 1])
  t.is(scraped.value('munjigi_cache_stores_total{service="house"}'), 1)
  t.is(scraped.value('munjigi_cache_entries'), 0)
})

test('a large stored reply comes whole, also to a client that reads slowly', async (t) => {
  const body = randomBytes(1_000_000)
  const house = await cachedHouse(t, [{ body }])
  await house.ask('/x')
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  t.is(digest(Buffer.from((await house.ask('/x')).body, 'latin1')), digest(body))
  const client = await rawClient(t, house.gateway.port)
  client.socket.pause()
  client.send(
    `GET /api/house/x HTTP/1.1\r\nHost: 127.0.0.1:${house.gateway.port}\r\nConnection: close\r\n\r\n`,
  )
  await delay(50)
  client.socket.resume()
  const { text } = await client.ended()
  t.is(digest(Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1')), digest(body))
  t.is(house.asked.length, 1)
})

test('a client that takes nothing of a stored reply is let go of', async (t) => {
  const house = await cachedHouse(t, [{ body: randomBytes(1_000_000) }], {}, { IDLE_TIMEOUT: '200ms' })
  await house.ask('/x')
  const client = await rawClient(t, house.gateway.port)
  client.socket.pause()
  // Pipelined: more than the kernel takes by itself.
  client.send(`GET /api/house/x HTTP/1.1\r\nHost: 127.0.0.1:${house.gateway.port}\r\n\r\n`.repeat(20))
  await until(
    () => house.gateway.access.some(({ errorCode }) => errorCode === 'request_timeout'),
    'the client is given up',
  )
  t.is(house.asked.length, 1)
  client.socket.destroy()
})

test('pipelined requests are answered from the store in their order', async (t) => {
  const house = await cachedHouse(t, (incoming, response) => tell(response, { body: `<${incoming.url}>` }))
  for (const path of ['/a', '/b']) await house.ask(path)
  const client = await rawClient(t, house.gateway.port)
  const get = (path: string, more = '') =>
    `GET /api/house${path} HTTP/1.1\r\nHost: 127.0.0.1:${house.gateway.port}\r\n${more}\r\n`
  client.send(get('/a') + get('/c') + get('/b', 'Connection: close\r\n'))
  const { text } = await client.ended()
  t.deepEqual(text.match(/<.*?>/g), ['</a>', '</c>', '</b>'])
  t.is(house.asked.length, 3)
})

test('with CACHE_SIZE=0 nothing is stored, whatever the routes say', async (t) => {
  const house = await cachedHouse(t, [{ headers, body: 'body' }], {}, { CACHE_SIZE: '0' })
  await house.ask('/x')
  t.is((await house.ask('/x')).headers['cache-status'], undefined)
  t.is(house.asked.length, 2)
})

test('a fresh reply is given though every instance is gone', async (t) => {
  const house = await cachedHouse(t, [{ headers, body: 'body' }])
  await house.ask('/x')
  await house.close()
  t.is((await house.ask('/x')).body, 'body')
  t.is((await house.ask('/y')).status, 502)
})
