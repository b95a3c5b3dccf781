import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { postgresTest, sharedPostgres } from '../support/database.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { startLiveGateway } from '../support/live-gateway.ts'
import { codeOf, type Reply, type RequestOptions, request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { DeclinedError, openWebSocket, webSocketHouse } from '../support/websocket.ts'

const freshPostgres = sharedPostgres()

/** How many requests are left, by the field of a reply; the hour that they are counted in has just begun. */
function leftOf({ headers }: Pick<Reply, 'headers'>): number {
  const [, left] = /^"(?:user|address)";r=(\d+);t=3[56]\d\d$/.exec(String(headers.ratelimit)) ?? []
  if (left === undefined) throw new Error(`RateLimit: ${headers.ratelimit}`)
  return Number(left)
}

/** A house that counts what it is asked. */
async function countingHouse(t: ExecutionContext, headers: Readonly<Record<string, string>> = {}) {
  const house = { origin: '', seen: 0 }
  const { origin } = await httpUpstream(t, (_request, response) => {
    house.seen += 1
    response.writeHead(200, headers).end('house')
  })
  return Object.assign(house, { origin })
}

test('so many requests are let through and no more, and the house never sees the others', async (t) => {
  const house = await countingHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { rate: '3/h per address' })
  for (const left of [2, 1, 0]) {
    const reply = await request(`${url}/api/house`)
    t.is(reply.status, 200)
    t.is(reply.headers['ratelimit-policy'], '"address";q=3;w=3600')
    t.is(leftOf(reply), left)
  }
  for (const options of [{}, { method: 'HEAD' }, { method: 'POST', body: 'x'.repeat(100_000) }]) {
    const refused = await request(`${url}/api/house`, options)
    t.is(refused.status, 429)
    t.is(leftOf(refused), 0)
    t.is(refused.headers['ratelimit-policy'], '"address";q=3;w=3600')
    t.true(refused.headers.ratelimit?.toString().endsWith(`;t=${refused.headers['retry-after']}`))
  }
  t.is(codeOf(await request(`${url}/api/house`)), 'too_many_requests')
  t.is(house.seen, 3)
})

test('of requests that come all at once exactly as many are let through', async (t) => {
  const house = await countingHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { rate: '20/h' })
  const replies = await Promise.all(Array.from({ length: 100 }, () => request(`${url}/api/house`)))
  t.is(replies.filter(({ status }) => status === 200).length, 20)
  t.is(replies.filter(({ status }) => status === 429).length, 80)
  t.is(house.seen, 20)
})

test('a caller is the address that a trusted proxy names, and each has a limit of its own', async (t) => {
  const house = await countingHouse(t)
  const env = { TRUSTED_PROXIES: '127.0.0.1' }
  const { url } = await startGatewayFor(t, house.origin, { rate: '1/h per address' }, env)
  const statusOf = async (address: string) =>
    (await request(`${url}/api/house`, { headers: { 'X-Forwarded-For': address } })).status
  t.is(await statusOf('192.0.2.1'), 200)
  t.is(await statusOf('192.0.2.1'), 429)
  t.is(await statusOf('198.51.100.9, 192.0.2.1'), 429, 'what stands before it may be invented')
  t.is(await statusOf('192.0.2.2'), 200)
  t.is(await statusOf('2001:db8::1'), 200)
  t.is(await statusOf('2001:db8::2'), 429)
})

test('each path of a service has a count of its own, and paths without a limit have no such fields', async (t) => {
  const house = await countingHouse(t)
  const { url } = await startGateway(t, {
    file: {
      services: {
        limited: { urls: house.origin, auth: 'none', openapi: false, path: ['/a', '/b'], rate: '1/h' },
        free: { urls: house.origin, auth: 'none', openapi: false, path: '/c' },
      },
    },
  })
  t.is((await request(`${url}/a`)).status, 200)
  t.is((await request(`${url}/a/deeper`)).status, 429)
  t.is((await request(`${url}/b`)).status, 200)
  const free = await request(`${url}/c`)
  t.is(free.status, 200)
  t.false('ratelimit' in free.headers || 'ratelimit-policy' in free.headers)
})

test('whoever is refused for lack of a token is not counted', async (t) => {
  const house = await countingHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { auth: 'required', rate: '1/h per address' })
  for (let i = 0; i < 3; i++) {
    const reply = await request(`${url}/api/house`)
    t.is(reply.status, 401)
    t.false('ratelimit' in reply.headers)
  }
})

test('a failing house does not change that the request counts once, however often it was tried', async (t) => {
  let asked = 0
  const house = await httpUpstream(t, (incoming) => {
    asked += 1
    incoming.socket.destroy()
  })
  const { url } = await startGatewayFor(t, house.origin, { rate: '5/h', retries: 2, 'eject-after': 0 })
  const reply = await request(`${url}/api/house`)
  t.is(reply.status, 502)
  t.true(asked > 1)
  t.is(leftOf(reply), 4)
})

test('a canary answers out of the limit of the service whose place it takes', async (t) => {
  const stable = await countingHouse(t)
  const canary = await countingHouse(t)
  const service = (origin: string) => ({ urls: origin, auth: 'none', openapi: false })
  const { url } = await startGateway(t, {
    file: {
      services: {
        house: { ...service(stable.origin), rate: '2/h' },
        next: { ...service(canary.origin), rate: '100/h', 'canary-of': 'house', 'canary-header': 'X-Next=1' },
      },
    },
  })
  const ask = (options?: RequestOptions) => request(`${url}/api/house`, options)
  t.is(leftOf(await ask()), 1)
  t.is(leftOf(await ask({ headers: { 'X-Next': '1' } })), 0)
  t.is((await ask({ headers: { 'X-Next': '1' } })).status, 429)
  t.deepEqual([stable.seen, canary.seen], [1, 1])
})

test('a WebSocket counts as the one request that its handshake is', async (t) => {
  const house = await webSocketHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { rate: '1/h' })
  const socket = await openWebSocket(t, `${url}/api/house`)
  for (let i = 0; i < 3; i++) {
    socket.send('hello')
    await once(socket, 'message')
  }
  const declined = await t.throwsAsync(openWebSocket(t, `${url}/api/house`), { instanceOf: DeclinedError })
  t.is(declined?.response.statusCode, 429)
  t.is(leftOf(declined!.response), 0)
  t.is(house.opened.length, 1)
})

test('a front end on another host can read what it is told, and preflights cost it nothing', async (t) => {
  const house = await countingHouse(t)
  const origin = 'https://www.jinmini.com'
  const { url } = await startGatewayFor(t, house.origin, { rate: '1/h' }, { CORS_ORIGINS: origin })
  const preflight = { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'GET' } }
  for (let i = 0; i < 3; i++) t.is((await request(`${url}/api/house`, preflight)).status, 204)
  for (const status of [200, 429]) {
    const { headers, ...reply } = await request(`${url}/api/house`, { headers: { origin } })
    t.is(reply.status, status)
    t.is(headers['access-control-allow-origin'], origin)
    const exposed = headers['access-control-expose-headers']?.split(', ') ?? []
    for (const name of ['RateLimit', 'RateLimit-Policy', 'Retry-After']) t.true(exposed.includes(name), name)
    t.is(leftOf({ headers }), 0)
  }
})

test("what a house says of limits of its own follows the gateway's", async (t) => {
  const own = { RateLimit: '"own";r=7;t=9', 'RateLimit-Policy': '"own";q=8;w=10' }
  const house = await countingHouse(t, own)
  const { url } = await startGatewayFor(t, house.origin, { rate: '2/h' })
  const { headers } = await request(`${url}/api/house`)
  t.regex(String(headers.ratelimit), /^"user";r=1;t=3\d{3}, "own";r=7;t=9$/)
  t.is(headers['ratelimit-policy'], '"user";q=2;w=3600, "own";q=8;w=10')
})

test("what a house says in another form than a list is left out, and the gateway's can be read", async (t) => {
  for (const own of ['limit=10, remaining=5, reset=50', '10', '"own";r=7, broken"', '"own";r=7,']) {
    const house = await countingHouse(t, { RateLimit: own })
    const { url } = await startGatewayFor(t, house.origin, { rate: '2/h' })
    const { headers } = await request(`${url}/api/house`)
    t.regex(
      String(headers.ratelimit),
      own === '10' ? /^"user";r=1;t=\d{4}, 10$/ : /^"user";r=1;t=\d{4}$/,
      own,
    )
  }
})

test('a stored reply has what is left now, and nothing that was said to somebody else', async (t) => {
  const house = await countingHouse(t, { RateLimit: '"own";r=7;t=9', 'Cache-Control': 'max-age=60' })
  const { url } = await startGatewayFor(t, house.origin, { rate: '5/h', cache: '1m' })
  for (const left of [4, 3, 2]) {
    const { headers } = await request(`${url}/api/house`)
    t.regex(
      String(headers.ratelimit),
      new RegExp(`^"user";r=${left};t=\\d{4}${left === 4 ? ', "own";r=7;t=9' : ''}$`),
    )
  }
  t.is(house.seen, 1)
})

test('what a route injects is not fetched for a request that its limit refuses', async (t) => {
  const house = await countingHouse(t)
  const issuer = await startIssuer(t)
  const description = { auth: 'required', rate: '2/h', inject: 'kakao' }
  const { url } = await startGatewayFor(t, house.origin, description, { TRUSTED_ISSUERS: issuer.setting })
  const Authorization = `Bearer ${await issuer.token()}`
  // Without a database there is nothing to inject: whoever is let through hears so.
  for (const status of [403, 429]) {
    const reply = await request(`${url}/api/house`, { headers: { Authorization } })
    t.is(reply.status, status)
    t.is(codeOf(reply), status === 403 ? 'connection_required' : 'too_many_requests')
    const opening = openWebSocket(t, `${url}/api/house`, { headers: { Authorization } })
    const declined = await t.throwsAsync(opening, { instanceOf: DeclinedError })
    t.is(declined?.response.statusCode, status)
  }
})

test('the metrics tell what was let through and what was not', async (t) => {
  const house = await countingHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { rate: '2/h' })
  for (let i = 0; i < 5; i++) await request(`${url}/api/house`)
  const { value } = await scrape(url)
  const of = (outcome: string) =>
    value(`munjigi_rate_limit_requests_total{route="/api/house",outcome="${outcome}"}`)
  t.is(of('allowed'), 2)
  t.is(of('limited'), 3)
  t.is(value('munjigi_rate_limit_keys'), 1)
})

test('a limit that is changed in gateway.yaml holds at once, and keeps what was counted', async (t) => {
  const file = (rate: string) =>
    `services: { house: { urls: "\${HOUSE_URL}", auth: none, openapi: false, rate: ${rate} } }`
  const gateway = await startLiveGateway(t, file('3/h'), { DATABASE_URL: 'none' })
  const left = async () => leftOf(await request(`${gateway.url}/api/house`))
  t.is(await left(), 2)
  await gateway.write(file('100/h'))
  await until(async () => (await left()) > 90, 'the new limit holds')
  await gateway.write(file('1/h'))
  await until(async () => (await gateway.get('/api/house')) === '429 ', 'the newest limit holds')
})

postgresTest('a user has one limit at two gateways, also behind one address with another user', async (t) => {
  const house = await countingHouse(t)
  const { url: database } = await freshPostgres(t)
  const secret = randomBytes(24).toString('base64url')
  const service = { urls: house.origin, openapi: false, rate: '4/h per user' }
  const env = {
    DATABASE_URL: database,
    ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    GATEWAY_CLIENTS: `auth:${secret}`,
  }
  const start = () => startGateway(t, { file: { services: { house: service } }, env })
  const gateways = [await start(), await start()] as const
  const tokenOf = async (subject: string) => {
    const { body } = await request(`${gateways[0].url}/tokens/create`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`auth:${secret}`).toString('base64')}`,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ subject }),
    })
    return (JSON.parse(body) as { access_token: string }).access_token
  }
  const [ada, sameAda, bob] = [await tokenOf('ada'), await tokenOf('ada'), await tokenOf('bob')]
  const ask = (index: 0 | 1, token: string) =>
    request(`${gateways[index].url}/api/house`, { headers: { Authorization: `Bearer ${token}` } })

  const shared = (index: 0 | 1) =>
    until(async () => {
      const { value } = await scrape(gateways[index].url)
      return value('munjigi_rate_limit_sharing_lag_seconds') === 0
    }, 'it is shared')

  t.is(leftOf(await ask(0, ada)), 3)
  t.is(leftOf(await ask(0, sameAda)), 2)
  await shared(0)
  t.is((await ask(1, ada)).status, 200)
  t.is(leftOf(await ask(1, bob)), 3)
  await shared(1)
  t.is(leftOf(await ask(1, sameAda)), 0)
  t.is((await ask(1, ada)).status, 429)
  t.is(leftOf(await ask(1, bob)), 2)
})
