import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import net from 'node:net'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { storableOf } from '../../src/cache/entry.ts'
import { permitOf } from '../../src/cache/policy.ts'
import { createStore, type Entry } from '../../src/cache/store.ts'
import { cachedHouse, tell } from '../support/cached-house.ts'
import { cutReplies, endings } from '../support/cut-replies.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'
import { scriptedUpstream } from '../support/upstream.ts'

for (const [what, bytes] of Object.entries(cutReplies)) {
  for (const [how, end] of Object.entries(endings)) {
    test(`${what} that is cut off by ${how} is not stored`, async (t) => {
      const house = await scriptedUpstream(t, (socket, _head, count) => {
        if (count > 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole')
        else {
          socket.write(bytes, 'latin1')
          setImmediate(end, socket)
        }
      })
      const { url } = await startGatewayFor(t, house.origin, { cache: '10m', retries: 0 })
      await request(`${url}/api/house/x`).catch(() => {})
      t.is((await request(`${url}/api/house/x`)).body, 'whole')
      t.is(house.requests.length, 2)
    })
  }
}

for (const [what, told] of [
  [
    'of more than 1 MB',
    { headers: { 'content-length': 1024 * 1024 + 1 }, body: Buffer.alloc(1024 * 1024 + 1) },
  ],
  ['of more than 1 MB without a length', { body: Buffer.alloc(1024 * 1024 + 1) }],
] as const) {
  test(`a body ${what} is passed on and not stored`, async (t) => {
    const house = await cachedHouse(t, [told])
    for (let round = 1; round <= 2; round++) {
      t.is((await house.ask('/x')).body.length, told.body.length)
      t.is(house.asked.length, round)
    }
    t.is((await scrape(house.gateway.url)).value('munjigi_cache_bytes'), 0)
  })
}

test('a body of 1 MB is stored, with a length and without, byte for byte', async (t) => {
  const body = randomBytes(1024 * 1024)
  const house = await cachedHouse(t, (incoming, response) =>
    tell(response, { body, ...(incoming.url === '/long' && { headers: { 'content-length': body.length } }) }),
  )
  for (const path of ['/long', '/chunked']) {
    for (let round = 0; round < 2; round++) {
      t.true(Buffer.from((await house.ask(path)).body, 'latin1').equals(body))
    }
  }
  t.is(house.asked.length, 2)
})

test('the memory for stored replies is bounded: the least recently used makes room', async (t) => {
  const body = randomBytes(100_000)
  const house = await cachedHouse(t, [{ body }], {}, { CACHE_SIZE: '1mb' })
  await house.ask('/often')
  for (let i = 0; i < 30; i++) {
    await house.ask(`/${i}`)
    await house.ask('/often')
  }
  t.is(house.asked.length, 31)
  const scraped = await scrape(house.gateway.url)
  t.true(scraped.value('munjigi_cache_bytes')! <= 1024 * 1024)
  t.is(scraped.value('munjigi_cache_entries'), 7)
  t.is(scraped.value('munjigi_cache_evictions_total'), 24)
})

test('bodies on their way take no more memory than is left for them', async (t) => {
  const begun: ServerResponse[] = []
  const house = await cachedHouse(
    t,
    (_incoming, response) => {
      response.writeHead(200, { 'content-length': 100_000 })
      response.write(Buffer.alloc(50_000))
      begun.push(response)
    },
    {},
    { CACHE_SIZE: '1mb' },
  )
  const replies = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const outgoing = http.get(`${house.gateway.url}/api/house/${i}`, { agent: false })
      const [reply] = (await once(outgoing, 'response')) as [http.IncomingMessage]
      await once(reply, 'readable')
      return reply
    }),
  )
  for (const response of begun) response.end(Buffer.alloc(50_000))
  for (const reply of replies) t.is((await buffer(reply)).length, 100_000)
  t.is((await scrape(house.gateway.url)).value('munjigi_cache_entries'), 2)
})

const entryOf = (body: string, vary = false): Entry => {
  const headers = { 'cache-control': 'max-age=60', ...(vary && { vary: 'x' }) }
  const now = Date.now()
  const permit = permitOf(
    { status: 200, headers, askedAt: now, receivedAt: now },
    { isCredentialed: false, noStore: false, defaultSeconds: 0 },
  )!
  return {
    ...{ status: 200, head: [], body: Buffer.from(body), permit },
    ...{ etag: undefined, lastModified: undefined, date: undefined },
  }
}
const withHeader = (value: string | undefined) => () => value

test('a reply that has no date is stored with that of its coming, whatever its headers say', (t) => {
  const receivedAt = Date.parse('2024-01-01T00:00:00Z')
  const request = { isCredentialed: false, noStore: false, defaultSeconds: 30 }
  const stored = storableOf(200, ['x-sort', 'date'], { askedAt: receivedAt, receivedAt }, request)
  t.deepEqual(stored?.head, ['x-sort', 'date', 'date', 'Mon, 01 Jan 2024 00:00:00 GMT'])
})

test('bodies that were put out while clients read them slowly count: nothing new is stored meanwhile', async (t) => {
  const body = randomBytes(1024 * 1024)
  const house = await cachedHouse(t, [{ body }], {}, { CACHE_SIZE: '8mb' })
  const reading: net.Socket[] = []
  for (let i = 0; i < 12; i++) {
    await house.ask(`/${i}`)
    const socket = net.connect(house.gateway.port, '127.0.0.1')
    // More than the kernel holds of them.
    socket.write(`GET /api/house/${i} HTTP/1.1\r\nHost: 127.0.0.1:${house.gateway.port}\r\n\r\n`.repeat(12))
    await once(socket, 'readable')
    reading.push(socket)
  }
  const now = async () => {
    const scraped = await scrape(house.gateway.url)
    return (name: string) => scraped.value(`munjigi_cache_${name}`)!
  }
  const flooded = await now()
  t.true(flooded('bytes') <= 8 * 1024 * 1024)
  t.true(flooded('evictions_total') < 5)
  for (const socket of reading) socket.destroy()
  await until(async () => (await now())('bytes') <= 6 * 1024 * 1024, 'what they read is let go of')
  await house.ask('/new')
  await house.ask('/new')
  t.is(house.asked.filter(({ url }) => url === '/new').length, 1)
})

test('a thousand tiny headers count for what they take in memory, not for their letters', (t) => {
  const store = createStore(1024 * 1024)
  const head = Array.from({ length: 2000 }, () => 'a')
  store.put('key', [], withHeader(undefined), { ...entryOf(''), head })
  t.true(store.status().bytes > 50_000)
})

test('a key that was forgotten has none of its variants any more', (t) => {
  const store = createStore(1024 * 1024)
  store.put('key', ['x'], withHeader('a'), entryOf('a', true))
  store.put('key', ['x'], withHeader('b'), entryOf('b', true))
  t.is(store.find('key', withHeader('a')).entry?.body.toString(), 'a')
  store.forget('key')
  t.is(store.find('key', withHeader('a')).entry, undefined)
  store.put('key', ['x'], withHeader('c'), entryOf('c', true))
  t.is(store.find('key', withHeader('a')).entry, undefined)
})

test('a header that is not there is another value than an empty one', (t) => {
  const store = createStore(1024 * 1024)
  store.put('key', ['x'], withHeader(undefined), entryOf('none', true))
  t.is(store.find('key', withHeader('')).entry, undefined)
  t.truthy(store.find('key', withHeader(undefined)).entry)
})

test('the headers that the latest reply varies by are those that select', (t) => {
  const store = createStore(1024 * 1024)
  store.put('key', [], withHeader('a'), entryOf('one'))
  store.put('key', ['x'], withHeader('a'), entryOf('two', true))
  t.is(store.find('key', withHeader('a')).entry?.body.toString(), 'two')
  t.is(store.find('key', withHeader('b')).entry, undefined)
  store.put('key', [], withHeader('a'), entryOf('three'))
  t.is(store.find('key', withHeader('b')).entry?.body.toString(), 'three')
})
