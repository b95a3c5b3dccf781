import http, { type ServerResponse } from 'node:http'
import test from 'ava'
import { type CachedHouse, cachedHouse, tell } from '../support/cached-house.ts'
import { inCalm } from '../support/calm.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'

const many = (house: CachedHouse, path: string, count = 100) =>
  Array.from({ length: count }, () => house.ask(path))

/** Until so many requests are on their way through the gateway, beside the one that asks. */
const inside = (house: CachedHouse, count: number) =>
  until(
    async () => (await scrape(house.gateway.url)).value('http_server_active_requests') === count + 1,
    `${count} requests are on their way`,
  )

/** A request whose client can leave. */
function leaver(house: CachedHouse, path: string) {
  const outgoing = http.get(`${house.gateway.url}/api/house${path}`, { agent: false })
  outgoing.on('error', () => {})
  return outgoing
}

test('of a hundred requests for what is not stored one asks the house', async (t) => {
  let answer: ServerResponse | undefined
  const house = await cachedHouse(t, (_incoming, response) => {
    answer = response
  })
  const replies = many(house, '/x')
  await inside(house, 100)
  tell(answer!, { body: 'one' })
  const statuses = (await Promise.all(replies)).map(({ body, headers }) => {
    t.is(body, 'one')
    return headers['cache-status']
  })
  t.is(house.asked.length, 1)
  t.is(statuses.filter((status) => status === 'munjigi; fwd=uri-miss; stored').length, 1)
})

test('of a hundred requests for what is stale one asks whether it is still good', async (t) => {
  let answer: ServerResponse | undefined
  const house = await cachedHouse(t, (_incoming, response) => {
    if (house.asked.length > 1) answer = response
    else tell(response, { headers: { etag: '"a"', 'cache-control': 'max-age=60', age: 70 }, body: 'one' })
  })
  await house.ask('/x')
  const replies = many(house, '/x')
  await inside(house, 100)
  tell(answer!, { status: 304, headers: { etag: '"a"' } })
  for (const { body } of await Promise.all(replies)) t.is(body, 'one')
  t.is(house.asked.length, 2)
})

test('where the reply is for one alone, the others go on at its head, and nobody waits after that', async (t) => {
  const house = await cachedHouse(t, (_incoming, response) => {
    const count = house.asked.length
    response.writeHead(200, { 'cache-control': 'private' })
    // The first reply's body never ends by itself.
    if (count === 1) response.write('begun')
    else response.end(`${count}`)
  })
  const first = leaver(house, '/x')
  await until(() => house.asked.length === 1, 'the house is asked')
  const bodies = (await Promise.all(many(house, '/x', 20))).map(({ body }) => body)
  t.is(new Set(bodies).size, 20)
  t.is(house.asked.length, 21)
  first.destroy()
})

test('a client that leaves spoils nothing: another request takes the place of its own', async (t) => {
  const answers: ServerResponse[] = []
  const house = await cachedHouse(t, (_incoming, response) => void answers.push(response))
  const first = leaver(house, '/x')
  await until(() => answers.length === 1, 'the house is asked')
  const others = many(house, '/x', 20)
  const { access } = house.gateway
  await inside(house, 21)
  answers[0]!.write('half')
  first.destroy()
  await until(() => answers.length === 2, 'the house is asked again')
  tell(answers[1]!, { body: 'whole' })
  for (const { body } of await Promise.all(others)) t.is(body, 'whole')
  t.is(house.asked.length, 2)
  t.true(access.some(({ errorCode }) => errorCode === 'client_closed_request'))
})

test('a client that leaves while it waits is noted as such, and the others are answered', async (t) => {
  const answers: ServerResponse[] = []
  const house = await cachedHouse(t, (_incoming, response) => void answers.push(response))
  const first = house.ask('/x')
  await until(() => answers.length === 1, 'the house is asked')
  const gone = leaver(house, '/x')
  const other = house.ask('/x')
  await inside(house, 3)
  gone.destroy()
  await inside(house, 2)
  tell(answers[0]!, { body: 'one' })
  t.is((await first).body, 'one')
  t.is((await other).body, 'one')
  t.true(house.gateway.access.some(({ errorCode }) => errorCode === 'client_closed_request'))
  t.is(house.asked.length, 1)
})

test('a reply that breaks off is nobody else’s: whoever waited for it asks for himself', async (t) => {
  const answers: ServerResponse[] = []
  const house = await cachedHouse(t, (_incoming, response) => {
    answers.push(response)
    if (answers.length > 1) tell(response, { body: 'whole' })
  })
  const first = t.throwsAsync(house.ask('/x'))
  await until(() => answers.length === 1, 'the house is asked')
  answers[0]!.writeHead(200, { 'content-length': 100 })
  answers[0]!.write('half')
  const others = many(house, '/x', 5)
  await inside(house, 6)
  answers[0]!.destroy()
  await first
  for (const { body } of await Promise.all(others)) t.is(body, 'whole')
  t.is((await house.ask('/x')).body, 'whole')
})

test(
  'nobody waits longer than half of the route’s deadline',
  inCalm(async (t) => {
    const house = await cachedHouse(
      t,
      (_incoming, response) => {
        if (house.asked.length > 1) tell(response, { body: 'second' })
      },
      { timeout: '1s', retries: 0 },
    )
    const first = house.ask('/x')
    await until(() => house.asked.length === 1, 'the house is asked')
    t.is((await house.ask('/x')).body, 'second')
    t.is((await first).status, 504)
  }),
)

test('a client that takes nothing of its reply is not waited for: another request takes the place of its own', async (t) => {
  const body = Buffer.alloc(200_000, 'a')
  const house = await cachedHouse(t, ({ url }, response) => {
    if (url === '/x') tell(response, { body })
  })
  // Its second reply cannot begin before the first one ends, which never comes.
  const { send } = await rawClient(t, house.gateway.port)
  for (const path of ['/silent', '/x']) {
    send(`GET /api/house${path} HTTP/1.1\r\nHost: 127.0.0.1:${house.gateway.port}\r\n\r\n`)
  }
  await until(() => house.asked.length === 2, 'both are asked for')
  const replies = await Promise.all([house.ask('/x'), house.ask('/x')])
  t.deepEqual(
    replies.map((reply) => reply.headers['cache-status']),
    ['munjigi; fwd=uri-miss; stored', 'munjigi; fwd=miss; collapsed'],
  )
  t.is(house.asked.length, 3)
})

test('requests for variants wait for their own', async (t) => {
  const house = await cachedHouse(t, (incoming, response) => {
    const language = incoming.headers['accept-language']
    setImmediate(() => tell(response, { headers: { vary: 'Accept-Language' }, body: language! }))
  })
  const all = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const language = i % 2 === 0 ? 'ko' : 'en'
      return { language, reply: await house.ask('/x', { headers: { 'accept-language': language } }) }
    }),
  )
  for (const { language, reply } of all) t.is(reply.body, language)
  t.true(house.asked.length <= 4, `${house.asked.length}`)
})

test('a stale reply is given while one request brings the next one', async (t) => {
  let answer: ServerResponse | undefined
  const house = await cachedHouse(t, (_incoming, response) => {
    if (house.asked.length > 1) answer = response
    else {
      const headers = { 'cache-control': 'max-age=60, stale-while-revalidate=600', age: 70 }
      tell(response, { headers, body: 'old' })
    }
  })
  await house.ask('/x')
  for (const { body, headers } of await Promise.all(many(house, '/x', 10))) {
    t.is(body, 'old')
    t.regex(String(headers['cache-status']), /^munjigi; hit; ttl=-\d\d$/)
  }
  await until(() => answer !== undefined, 'the house is asked')
  t.is((await house.ask('/x')).body, 'old')
  tell(answer!, { headers: { 'cache-control': 'max-age=60' }, body: 'new' })
  await until(async () => (await house.ask('/x')).body === 'new', 'the new one is stored')
  t.is(house.asked.length, 2)
})

test('a house that fails behind the back of a stale reply is asked again, and the reply stays', async (t) => {
  const house = await cachedHouse(
    t,
    (_incoming, response) => {
      if (house.asked.length === 2) return void response.socket!.destroy()
      const headers = { 'cache-control': 'max-age=60, stale-while-revalidate=600', age: 70 }
      tell(response, { headers, body: 'old' })
    },
    { retries: 0 },
  )
  await house.ask('/x')
  await until(async () => {
    const { body } = await request(`${house.gateway.url}/api/house/x`)
    t.is(body, 'old')
    return house.asked.length >= 3
  }, 'the house is asked again')
})

test('where a reply was for one alone, the next requests for its key do not wait for each other', async (t) => {
  const house = await cachedHouse(t, (_incoming, response) => {
    // The second one is never answered.
    if (house.asked.length !== 2) tell(response, { headers: { 'cache-control': 'private' }, body: 'own' })
  })
  await house.ask('/x')
  const silent = leaver(house, '/x')
  await until(() => house.asked.length === 2, 'the house is asked')
  t.is((await house.ask('/x')).body, 'own')
  t.is(house.asked.length, 3)
  silent.destroy()
})
