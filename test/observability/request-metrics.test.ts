import type { ExecutionContext } from 'ava'
import { addUpMetrics, createMetrics } from '../../src/observability/metrics.ts'
import { createRequestCounts } from '../../src/observability/request-counts.ts'
import { requestMetrics } from '../../src/observability/request-metrics.ts'
import { calmTest as test } from '../support/calm.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { publishedServices } from '../support/published-services.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { type Scraped, scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'
import { openWebSocket, webSocketHouse } from '../support/websocket.ts'
import { startWorkers } from '../support/workers.ts'

const answering = (t: ExecutionContext) => httpUpstream(t, (_request, response) => response.end('ok'))

/** `GET 200 /api/house house` → how many. */
function requests({ text }: Pick<Scraped, 'text'>): Record<string, number> {
  const lines = text.matchAll(
    /^http_server_requests_total\{http_request_method="(.*)",http_response_status_code="(.*)",http_route="(.*)",service="(.*)"\} (\d+)$/gm,
  )
  return Object.fromEntries(
    [...lines].map(([, method, status, route, service, count]) => [
      `${method} ${status} ${route} ${service}`.trimEnd(),
      Number(count),
    ]),
  )
}

test('a request is counted under its route and service, never under its path', async (t) => {
  const house = await answering(t)
  const { url } = await startGateway(t, {
    file: {
      services: {
        users: { urls: house.origin, path: '/api/users', strip: '/api', auth: 'none', openapi: false },
        closed: { urls: house.origin, path: '/api/users/secret', openapi: false },
      },
    },
  })
  for (const path of ['/api/users', '/api/users/1', '/api/users/2?q=3', '/api/users/secret/4']) {
    await request(`${url}${path}`)
  }
  await request(`${url}/api/users/1`, { method: 'PURGE' })
  await request(`${url}/nowhere/5`)
  await request(`${url}/nowhere/6`)
  await request(`${url}/livez`)
  const { 'GET 200 /readyz': _, ...counted } = requests(await scrape(url))
  t.deepEqual(counted, {
    'GET 200 /api/users users': 3,
    'GET 401 /api/users/secret closed': 1,
    '_OTHER 200 /api/users users': 1,
    'GET 404 unmatched': 2,
    'GET 200 /livez': 1,
  })
})

test('what cannot be parsed, and a client that left, are counted as well', async (t) => {
  const house = await scriptedUpstream(t, () => {})
  const { url, port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('GET / HTTP/9.9\r\nHost: a\r\n\r\n')
  await client.ended()
  const gone = new AbortController()
  const left = fetch(`${url}/api/house`, { signal: gone.signal })
  await until(() => house.requests.length === 1, 'it is at the house')
  t.is((await scrape(url)).value('http_server_active_requests'), 2, 'it, and the scrape itself')
  gone.abort()
  await t.throwsAsync(left)
  await until(async () => requests(await scrape(url))['GET 499 /api/house house'] === 1, 'it is counted')
  const after = await scrape(url)
  t.is(requests(after)['_OTHER 400 unmatched'], 1)
  t.is(after.value('http_server_active_requests'), 1)
})

test('a WebSocket is active while it is open, then a 101, and no duration', async (t) => {
  const house = await webSocketHouse(t)
  const { url } = await startGatewayFor(t, house.origin)
  const socket = await openWebSocket(t, `${url}/api/house`)
  t.is((await scrape(url)).value('http_server_active_requests'), 2)
  socket.close()
  await until(async () => requests(await scrape(url))['GET 101 /api/house house'] === 1, 'it is counted')
  const { value } = await scrape(url)
  t.is(value('http_server_active_requests'), 1)
  t.is(
    value('http_server_request_duration_seconds_count{http_route="/api/house",service="house"}'),
    undefined,
  )
})

test('an attempt that fails is counted by its code, though a retry makes it good', async (t) => {
  const resetting = await scriptedUpstream(t, (socket) => socket.resetAndDestroy())
  const origins = [(await answering(t)).origin, resetting.origin, await deadOrigin()]
  const { url } = await startGatewayFor(t, origins, { balance: 'round-robin', retries: 2, 'eject-after': 0 })
  for (let i = 0; i < 6; i += 1) t.is((await request(`${url}/api/house`)).status, 200)
  const { value } = await scrape(url)
  const failed = (code: string) => value(`munjigi_upstream_errors_total{service="house",code="${code}"}`)
  t.true(failed('upstream_reset')! > 0)
  t.true(failed('upstream_refused')! > 0)
  t.is(
    failed('upstream_reset')! + failed('upstream_refused')!,
    value('munjigi_retries_total{service="house"}')!,
  )
})

test('silence and a reply that is none have codes of their own', async (t) => {
  const silent = await scriptedUpstream(t, () => {})
  const babbling = await scriptedUpstream(t, (socket) => socket.end('HTTP/1.1 OK\r\n\r\n'))
  const open = { auth: 'none', openapi: false, retries: 0 }
  const services = {
    silent: { ...open, urls: silent.origin, timeout: '300ms' },
    babbling: { ...open, urls: babbling.origin },
  }
  const { url } = await startGateway(t, { file: { services } })
  for (const name of Object.keys(services)) await request(`${url}/api/${name}`)
  const { value } = await scrape(url)
  t.is(value('munjigi_upstream_errors_total{service="silent",code="upstream_timeout"}'), 1)
  t.is(value('munjigi_upstream_errors_total{service="babbling",code="upstream_bad_response"}'), 1)
})

test('having no instance is counted as well', async (t) => {
  const { url } = await startGateway(t, { services: publishedServices([]) })
  t.is((await request(`${url}/api/house`)).status, 503)
  const { value } = await scrape(url)
  t.is(value('munjigi_upstream_errors_total{service="house",code="no_instance"}'), 1)
})

test('connections to a house are told, and whether they have a request', async (t) => {
  const house = await scriptedUpstream(t, () => {})
  const { url } = await startGatewayFor(t, house.origin)
  const gone = new AbortController()
  t.teardown(() => gone.abort())
  fetch(`${url}/api/house`, { signal: gone.signal }).catch(() => {})
  await until(() => house.requests.length === 1, 'it is at the house')
  const { value } = await scrape(url)
  const open = (state: string) =>
    value(`http_client_open_connections{service="house",http_connection_state="${state}"}`)
  t.deepEqual([open('active'), open('idle')], [1, 0])
})

test('two workers: requests and buckets of both are added up, whichever is asked', async (t) => {
  const { url, port, linesOf } = await startWorkers(t, (await answering(t)).origin)
  // Each over a connection of its own, so that both get some.
  let sent = 0
  await until(async () => {
    await request(`http://127.0.0.1:${port}/api/house`)
    sent += 1
    return linesOf(/\/api\/house/).size === 2
  }, 'both have had some')
  await until(async () => requests(await scrape(url))['GET 200 /api/house house'] === sent, 'all are counted')
  const series = 'http_route="/api/house",service="house"'
  for (let i = 0; i < 3; i += 1) {
    const scraped = await scrape(url)
    t.is(requests(scraped)['GET 200 /api/house house'], sent)
    t.is(scraped.value(`http_server_request_duration_seconds_count{${series}}`), sent)
    t.is(scraped.value(`http_server_request_duration_seconds_bucket{${series},le="+Inf"}`), sent)
  }
})

test('of many services each series is told once, and the same of one process as of two', async (t) => {
  const counts = createRequestCounts()
  for (let i = 0; i < 400; i += 1) {
    for (const status of [200, 404, 502]) {
      counts.begin()
      counts.count(`/api/${i}`, `service-${i}`, 'GET', status, i / 40)
    }
  }
  const snapshot = await createMetrics([requestMetrics(counts)]).snapshot()
  const own = ({ text }: { text: string }) =>
    text.split('\n').filter((line) => line.startsWith('http_server_'))
  const one = own(await addUpMetrics([snapshot]))
  const two = own(await addUpMetrics([snapshot, structuredClone(snapshot)]))
  t.is(one.length, 400 * (3 + 17) + 1)
  t.is(new Set(one.map((line) => line.replace(/ \S+$/, ''))).size, one.length)
  const doubled = one.map((line) => line.replace(/\S+$/, (value) => String(Number(value) * 2)))
  t.deepEqual(two.toSorted(), doubled.toSorted())
  t.true(
    one.includes(
      'http_server_request_duration_seconds_bucket{http_route="/api/40",service="service-40",le="1"} 3',
    ),
  )
  t.true(
    one.includes(
      'http_server_request_duration_seconds_bucket{http_route="/api/40",service="service-40",le="0.75"} 0',
    ),
  )
})

test('the lines of one metric stand together, under one head', async (t) => {
  const counts = createRequestCounts()
  for (let i = 0; i < 200; i += 1) {
    counts.begin()
    counts.count(`/api/${i}`, `service-${i}`, 'GET', 200, 0)
  }
  const { text } = await addUpMetrics([await createMetrics([requestMetrics(counts)]).snapshot()])
  const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
  t.is(new Set(types).size, types.length)
  const owners = text
    .split('\n')
    .filter((line) => line.startsWith('http_server_'))
    .map((line) => /^http_server_(?:requests|request_duration|active)/.exec(line)![0])
  const changes = owners.filter((owner, at) => owner !== owners[at - 1])
  t.is(changes.length, 3)
})
