import { once } from 'node:events'
import type http from 'node:http'
import type { ExecutionContext } from 'ava'
import { calmTest as test } from '../support/calm.ts'
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'
import { openWebSocket, webSocketHouse } from '../support/websocket.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const sampled = `00-${traceId}-${parentId}-01`
const unsampled = `00-${traceId}-${parentId}-00`

const settingsFor = ({ origin }: Pick<Collector, 'origin'>) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: origin,
  OTEL_BSP_SCHEDULE_DELAY: '5',
})

/** A house that keeps the heads of what it is asked, a collector, and a gateway between them. */
async function traced(
  t: ExecutionContext,
  answer: http.RequestListener = (_incoming, response) => response.end('house'),
  {
    env = {},
    description = {},
  }: { env?: Record<string, string>; description?: Record<string, unknown> } = {},
) {
  const heads: http.IncomingHttpHeaders[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    heads.push(incoming.headers)
    answer(incoming, response)
  })
  const collector = await startCollector(t)
  const gateway = await startGatewayFor(t, house.origin, description, { ...settingsFor(collector), ...env })
  return { ...gateway, house, heads, collector }
}

const isServer = ({ kind }: ReceivedSpan) => kind === 'server'
const ids = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

test('a request is a server span, and its attempt a client span whose id the house is sent', async (t) => {
  const { url, house, heads, collector } = await traced(t)
  await request(`${url}/api/house/users/7?token=secret`, { method: 'POST', body: 'x' })
  await collector.received(2)
  const [server, client] = [...collector.spans].sort((a) => (isServer(a) ? -1 : 1)) as [
    ReceivedSpan,
    ReceivedSpan,
  ]
  const [, trace, span, flags] = ids.exec(String(heads[0]?.traceparent)) ?? []
  t.deepEqual([trace, span, flags], [server.traceId, client.spanId, '01'])
  t.deepEqual([client.traceId, client.parentId, server.parentId], [server.traceId, server.spanId, ''])
  const { port } = new URL(url)
  t.is(server.name, 'POST /api/house')
  t.like(server.attributes, {
    'http.request.method': 'POST',
    'http.route': '/api/house',
    'http.response.status_code': 200,
    'url.path': '/api/house/users/7',
    'url.scheme': 'http',
    'server.address': '127.0.0.1',
    'server.port': Number(port),
    'client.address': '127.0.0.1',
    'network.protocol.version': '1.1',
    'munjigi.service': 'house',
  })
  t.is(client.name, 'POST')
  t.deepEqual(client.attributes, {
    'http.request.method': 'POST',
    'http.response.status_code': 200,
    'url.full': `${house.origin}/users/7`,
    'server.address': '127.0.0.1',
    'server.port': house.port,
    'network.protocol.version': '1.1',
    'munjigi.service': 'house',
  })
  t.false(server.isError || client.isError)
  t.true(server.durationNs >= client.durationNs && client.durationNs > 0n)
  t.notRegex(
    JSON.stringify(collector.spans, (_key, value) => (typeof value === 'bigint' ? 0 : value)),
    /secret/,
  )
})

test('the caller’s trace goes on, and its tracestate with it', async (t) => {
  const { url, heads, collector, access } = await traced(t)
  const headers = { traceparent: `00-${traceId}-${parentId}-03`, tracestate: 'a=1,b=2' }
  await request(`${url}/api/house`, { headers })
  const [server] = await collector.received(1, isServer)
  t.like(server, { traceId, parentId, traceState: 'a=1,b=2' })
  const [client] = await collector.received(1, ({ kind }) => kind === 'client')
  t.deepEqual(heads[0]?.traceparent, `00-${traceId}-${client!.spanId}-03`, 'the flag of a random id stays')
  t.is(heads[0]?.tracestate, 'a=1,b=2')
  t.is(access[0]?.traceId, traceId)
})

test('what is no traceparent begins a new trace, and takes its tracestate with it', async (t) => {
  const { url, heads, collector } = await traced(t)
  const headers = { traceparent: `00-${traceId.toUpperCase()}-${parentId}-01`, tracestate: 'a=1' }
  await request(`${url}/api/house`, { headers })
  const [server] = await collector.received(1, isServer)
  t.is(server!.parentId, '')
  t.not(server!.traceId, traceId)
  t.is(heads[0]?.tracestate, undefined)
  t.is(ids.exec(String(heads[0]?.traceparent))?.[1], server!.traceId)
})

test('each attempt is a span of its own; one that failed says why', async (t) => {
  const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
  const dead = await deadOrigin()
  const collector = await startCollector(t)
  const { url } = await startGatewayFor(
    t,
    [dead, house.origin],
    { balance: 'round-robin' },
    settingsFor(collector),
  )
  // Which of the two comes first is the balancer's business; of two requests one begins with the dead one.
  for (let i = 0; i < 2; i += 1) t.is((await request(`${url}/api/house`)).status, 200)
  const [failed] = await collector.received(1, ({ isError }) => isError)
  t.like(failed?.attributes, { 'server.port': Number(new URL(dead).port), 'error.type': 'upstream_refused' })
  t.false('http.response.status_code' in failed!.attributes)
  const [again] = await collector.received(
    1,
    ({ kind, traceId: trace, spanId }) =>
      kind === 'client' && trace === failed!.traceId && spanId !== failed!.spanId,
  )
  t.like(again?.attributes, { 'server.port': house.port, 'http.request.resend_count': 1 })
  t.is(again!.parentId, failed!.parentId)
  const [server] = await collector.received(1, ({ spanId }) => spanId === failed!.parentId)
  t.false(server!.isError, 'in the end it was answered')
})

test('the second attempt sends its own id', async (t) => {
  const house = await scriptedUpstream(t, (socket, _head, count) => {
    if (count === 1) socket.destroy()
    else socket.write('HTTP/1.1 204 No Content\r\n\r\n')
  })
  const collector = await startCollector(t)
  const { url } = await startGatewayFor(t, house.origin, {}, settingsFor(collector))
  t.is((await request(`${url}/api/house`)).status, 204)
  const sent = house.requests.map(
    (head) => /^traceparent: 00-[0-9a-f]{32}-([0-9a-f]{16})-01\r$/im.exec(head)?.[1],
  )
  const clients = await collector.received(2, ({ kind }) => kind === 'client')
  t.deepEqual(sent.toSorted(), clients.map(({ spanId }) => spanId).toSorted())
  t.is(clients.find(({ spanId }) => spanId === sent[0])?.attributes['error.type'], 'upstream_reset')
})

test('what the house says of itself: 5xx is an error to both, 4xx to who asked', async (t) => {
  const { url, collector } = await traced(t, (incoming, response) => {
    response.writeHead(Number(incoming.url?.slice(1))).end()
  })
  for (const [status, errors] of [
    [500, { server: '500', client: '500' }],
    [404, { server: undefined, client: '404' }],
    [302, { server: undefined, client: undefined }],
  ] as const) {
    const of = ({ attributes }: ReceivedSpan) => attributes['http.response.status_code'] === status
    await request(`${url}/api/house/${status}`)
    for (const { kind, attributes, isError } of await collector.received(2, of)) {
      t.is(attributes['error.type'], errors[kind as 'server' | 'client'], `${kind} ${status}`)
      t.is(isError, attributes['error.type'] !== undefined, `${kind} ${status}`)
    }
  }
})

test('a house that says nothing is a time-out', async (t) => {
  const { url, collector } = await traced(t, () => {}, { description: { timeout: '50ms', retries: 0 } })
  t.is((await request(`${url}/api/house`)).status, 504)
  for (const { attributes, isError, kind } of await collector.received(2)) {
    t.is(attributes['error.type'], 'upstream_timeout')
    t.is(attributes['http.response.status_code'], kind === 'server' ? 504 : undefined)
    t.true(isError)
  }
})

test('a client that leaves is told of, and is nobody’s error', async (t) => {
  const { url, house, collector } = await traced(t, () => {})
  const controller = new AbortController()
  const left = fetch(`${url}/api/house`, { signal: controller.signal })
  await once(house.server, 'request')
  controller.abort()
  await t.throwsAsync(left)
  const [server] = await collector.received(1, isServer)
  t.is(server!.attributes['error.type'], 'client_closed_request')
  t.false('http.response.status_code' in server!.attributes)
  t.false(server!.isError)
  const [client] = await collector.received(1, ({ kind }) => kind === 'client')
  t.is(client!.attributes['error.type'], 'client_closed_request')
})

test('a reply that breaks off is an error, whatever its status', async (t) => {
  const { url, collector } = await traced(t, (_incoming, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('half', () => response.destroy())
  })
  await t.throwsAsync(request(`${url}/api/house`))
  for (const { attributes, isError } of await collector.received(2)) {
    t.like(attributes, { 'http.response.status_code': 200 })
    t.regex(String(attributes['error.type']), /^upstream_/)
    t.true(isError)
  }
})

test('what the gateway answers itself is a span without attempts; probes are none', async (t) => {
  const { url, collector } = await traced(t)
  for (const path of ['/livez', '/readyz', '/metrics', '/nowhere']) await request(url + path)
  await request(`${url}/livez`, { headers: { traceparent: sampled } })
  const spans = await collector.received(2)
  t.deepEqual(
    spans.map(({ name, kind }) => `${kind} ${name}`).toSorted(),
    ['server GET /livez', 'server GET unmatched'],
    'a probe that has a trace is told of',
  )
})

test('a method that nobody knows is told as such', async (t) => {
  const { url, collector } = await traced(t)
  await request(`${url}/api/house`, { method: 'PROPFIND' })
  const [server] = await collector.received(1, isServer)
  t.is(server!.name, 'HTTP /api/house')
  t.like(server!.attributes, {
    'http.request.method': '_OTHER',
    'http.request.method_original': 'PROPFIND',
  })
})

test('a WebSocket is a server span for as long as it is open, and its handshake a client span', async (t) => {
  const house = await webSocketHouse(t)
  const collector = await startCollector(t)
  const { url, access } = await startGatewayFor(t, house.origin, {}, settingsFor(collector))
  const socket = await openWebSocket(t, `${url}/api/house`, { headers: { traceparent: sampled } })
  const [client] = await collector.received(1)
  t.like(client, { kind: 'client', traceId })
  t.is(client!.attributes['http.response.status_code'], 101)
  t.is(house.opened[0]?.handshake.headers.traceparent, `00-${traceId}-${client!.spanId}-01`)
  socket.send('hello')
  await once(socket, 'message')
  socket.close()
  const [server] = await collector.received(1, isServer)
  t.like(server, { name: 'GET /api/house', parentId, spanId: client!.parentId })
  t.like(access[0], { traceId, route: '/api/house', status: 101 })
  t.true(access[0]!.bytesSent > 0 && access[0]!.bytesReceived! > 0)
})

test('a WebSocket that is declined or finds nobody is told of as a request is', async (t) => {
  const collector = await startCollector(t)
  const { url } = await startGatewayFor(t, await deadOrigin(), { retries: 0 }, settingsFor(collector))
  await t.throwsAsync(openWebSocket(t, `${url}/api/house`))
  for (const { attributes, isError } of await collector.received(2)) {
    t.is(attributes['error.type'], 'upstream_refused')
    t.true(isError)
  }
})

test('a trace that its caller does not keep is not kept, and the house is told so', async (t) => {
  const { url, heads, collector, access } = await traced(t)
  await request(`${url}/api/house`, { headers: { traceparent: unsampled } })
  await request(`${url}/api/house/kept`)
  await collector.received(2)
  t.deepEqual(
    collector.spans.filter((span) => span.traceId === traceId),
    [],
  )
  const [, trace, span, flags] = ids.exec(String(heads[0]?.traceparent)) ?? []
  t.deepEqual([trace, flags], [traceId, '00'])
  t.not(span, parentId)
  t.is(access[0]?.traceId, traceId)
})

const samplers: readonly (readonly [env: Record<string, string>, kept: readonly boolean[]])[] = [
  [{ OTEL_TRACES_SAMPLER: 'always_on' }, [true, true, true]],
  [{ OTEL_TRACES_SAMPLER: 'always_off' }, [false, false, false]],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, [false, false, false]],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }, [true, true, true]],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, [true, false, false]],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, [true, false, false]],
]
for (const [env, [ofSampled, ofUnsampled, ofRoot]] of samplers) {
  test(`${Object.values(env).join(' ')} keeps what it should`, async (t) => {
    const { url, heads } = await traced(t, undefined, { env })
    for (const headers of [{ traceparent: sampled }, { traceparent: unsampled }, {}]) {
      await request(`${url}/api/house`, { headers })
    }
    t.deepEqual(
      heads.map(({ traceparent }) => String(traceparent).endsWith('-01')),
      [ofSampled, ofUnsampled, ofRoot],
    )
  })
}

test('where paths are not told the route is all there is', async (t) => {
  const { url, collector } = await traced(t, undefined, { env: { LOG_PATHS: 'route' } })
  await request(`${url}/api/house/reset/secret`)
  await collector.received(2)
  for (const { attributes } of collector.spans) t.notRegex(JSON.stringify(attributes), /secret/)
})

test('the collector hears who is speaking, in the way that it was said', async (t) => {
  const { url, collector } = await traced(t, undefined, {
    env: {
      OTEL_SERVICE_NAME: 'door',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,service.name=other,team=a%20b',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc,x-one=1',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-one=2',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    },
  })
  await request(`${url}/api/house`)
  const { resource } = (await collector.received(1))[0]!
  t.like(resource, { 'service.name': 'door', 'deployment.environment.name': 'staging', team: 'a b' })
  t.regex(String(resource['service.instance.id']), /^[0-9a-f-]{36}$/)
  t.is(collector.requests[0]?.url, '/v1/traces')
  t.like(collector.requests[0]?.headers, {
    authorization: 'Bearer abc',
    'x-one': '2',
    'content-encoding': 'gzip',
    'content-type': 'application/x-protobuf',
  })
})

test('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is the whole URL, and wins', async (t) => {
  const collector = await startCollector(t)
  const house = await httpUpstream(t, (_incoming, response) => response.end())
  const env = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.origin}/own/path`,
    OTEL_BSP_SCHEDULE_DELAY: '5',
  }
  const { url } = await startGatewayFor(
    t,
    house.origin,
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: house.origin, ...env },
  )
  await request(`${url}/api/house`)
  await collector.received(2)
  t.is(collector.requests[0]?.url, '/own/path')
})

test('what waits at the end is sent', async (t) => {
  const { url, gateway, collector } = await traced(t, undefined, {
    env: { OTEL_BSP_SCHEDULE_DELAY: '600000' },
  })
  for (let i = 0; i < 3; i += 1) await request(`${url}/api/house`)
  t.is(collector.spans.length, 0)
  await gateway.stop()
  t.is(collector.spans.length, 6)
})

test('a collector that is not there harms nobody, is said once, and what was lost is counted', async (t) => {
  const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
  const { url, lines } = await startGatewayFor(
    t,
    house.origin,
    {},
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: await deadOrigin(),
      OTEL_EXPORTER_OTLP_TIMEOUT: '50',
      OTEL_BSP_SCHEDULE_DELAY: '5',
      OTEL_BSP_MAX_QUEUE_SIZE: '4',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '4',
    },
  )
  const spans = async (outcome: string) =>
    (await scrape(url)).value(`munjigi_spans_total{outcome="${outcome}"}`)
  await until(async () => {
    t.is((await request(`${url}/api/house`)).status, 200)
    return ((await spans('failed')) ?? 0) > 4
  }, 'two batches were lost')
  const said = lines.filter(({ message }) => message.startsWith('traces cannot be sent'))
  t.is(said.length, 1)
  t.like(said[0]?.fields, { error: 'ECONNREFUSED' })
})

test('a collector that takes no more fills the queue, and the rest is dropped and counted', async (t) => {
  const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
  const collector = await startCollector(t, { answer: () => true })
  const { url, gateway, lines } = await startGatewayFor(
    t,
    house.origin,
    {},
    {
      ...settingsFor(collector),
      OTEL_BSP_SCHEDULE_DELAY: '600000',
      OTEL_BSP_MAX_QUEUE_SIZE: '4',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '2',
    },
  )
  // One batch is on its way, four spans wait.
  for (let i = 0; i < 10; i += 1) t.is((await request(`${url}/api/house`)).status, 200)
  await until(
    async () => (await scrape(url)).value('munjigi_spans_total{outcome="dropped"}') === 20 - 2 - 4,
    'the rest was dropped',
  )
  await gateway.stop()
  t.truthy(lines.find(({ message }) => /were not sent .* in time are lost/.test(message)))
})

test('a collector that refuses is told of by its status and by no word of its own', async (t) => {
  const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
  let isOpen = false
  const collector = await startCollector(t, {
    answer(response) {
      if (isOpen) return false
      response.writeHead(401).end('no such token: secret-of-collector')
      return true
    },
  })
  const { url, lines } = await startGatewayFor(t, house.origin, {}, settingsFor(collector))
  const find = (start: string) => lines.find(({ message }) => message.startsWith(start))
  await request(`${url}/api/house`)
  await until(() => find('traces cannot be sent') !== undefined, 'it is said')
  t.deepEqual(find('traces cannot be sent')?.fields, { collector: collector.origin, error: 'it answers 401' })
  isOpen = true
  await request(`${url}/api/house`)
  await until(() => find('traces are sent') !== undefined, 'it is said again')
  t.notRegex(JSON.stringify(lines), /secret-of-collector/)
})

test('two gateways of one process have nothing in common', async (t) => {
  const [one, other] = [await traced(t), await traced(t)]
  await request(`${one.url}/api/house/one`)
  await request(`${other.url}/api/house/other`)
  const [a, b] = [await one.collector.received(2), await other.collector.received(2)]
  t.is(new Set([...a, ...b].map((span) => span.traceId)).size, 2)
  t.not(a[0]!.resource['service.instance.id'], b[0]!.resource['service.instance.id'])
})

test('with traces off a caller’s trace goes through as it came, and its id stands in the access line', async (t) => {
  const heads: http.IncomingHttpHeaders[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    heads.push(incoming.headers)
    response.end()
  })
  const { url, access } = await startGatewayFor(t, house.origin)
  const future = `cc-${traceId}-${parentId}-01-more`
  await request(`${url}/api/house`, { headers: { TraceParent: future, TraceState: 'a=1, b=2' } })
  t.like(heads[0], { traceparent: future, tracestate: 'a=1, b=2' })
  await request(`${url}/api/house`, {
    headers: { traceparent: `ff-${traceId}-${parentId}-01`, tracestate: 'a=1' },
  })
  await request(`${url}/api/house`, { headers: { tracestate: 'a=1' } })
  for (const head of heads.slice(1)) t.false('traceparent' in head || 'tracestate' in head)
  t.deepEqual(
    access.map((entry) => entry.traceId),
    [traceId, undefined, undefined],
  )
})

test('a copy for a mirror is of the same trace', async (t) => {
  const heads: (string | undefined)[] = []
  const mirror = await httpUpstream(t, (incoming, response) => {
    heads.push(incoming.headers.traceparent as string)
    response.end()
  })
  const house = await httpUpstream(t, (_incoming, response) => response.end())
  const collector = await startCollector(t)
  const { url } = await startGateway(t, {
    file: {
      services: {
        house: { urls: [house.origin], auth: 'none', openapi: false, 'mirror-to': 'copy' },
        copy: { urls: [mirror.origin], auth: 'none', openapi: false },
      },
    },
    env: settingsFor(collector),
  })
  await request(`${url}/api/house`, { headers: { traceparent: sampled } })
  await until(() => heads.length === 1, 'the copy has come')
  t.regex(String(heads[0]), new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
})
