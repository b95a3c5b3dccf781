import type { ExecutionContext } from 'ava'
import { gauge } from '../../src/observability/metric-source.ts'
import { addUpMetrics, createMetrics } from '../../src/observability/metrics.ts'
import { calmTest as test } from '../support/calm.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { handSource, service } from '../support/hand-source.ts'
import { startLiveGateway } from '../support/live-gateway.ts'
import { publishedServices } from '../support/published-services.ts'
import { codeOf, request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'

const answering = (t: ExecutionContext) => httpUpstream(t, (_request, response) => response.end('ok'))
/** Only once it has the request: one that was never sent is tried again whatever the budget. */
const resetting = (t: ExecutionContext) => scriptedUpstream(t, (socket) => socket.resetAndDestroy())

test('an instance that is ejected is counted, and is usable no more', async (t) => {
  const origins = [(await answering(t)).origin, (await resetting(t)).origin]
  const { url } = await startGatewayFor(t, origins, { balance: 'round-robin' })
  const before = await scrape(url)
  t.is(before.value('munjigi_service_instances{service="house",state="usable"}'), 2)
  t.is(before.value('munjigi_ejections_total{service="house"}'), 0)
  for (let i = 0; i < 12; i += 1) await request(`${url}/api/house`)
  const after = await scrape(url)
  t.is(after.value('munjigi_service_instances{service="house",state="usable"}'), 1)
  t.is(after.value('munjigi_service_instances{service="house",state="ejected"}'), 1)
  t.is(after.value('munjigi_ejections_total{service="house"}'), 1)
  t.is(after.value('munjigi_retries_total{service="house"}'), 5, 'each of its five failures was tried again')
})

test('ejections are still counted after the table has changed', async (t) => {
  const origins = [(await answering(t)).origin, await deadOrigin()]
  const services = publishedServices(origins, { balance: 'round-robin', 'eject-after': 1 })
  const { url } = await startGateway(t, { services })
  for (let i = 0; i < 2; i += 1) await request(`${url}/api/house`)
  services.publish([...origins, (await answering(t)).origin])
  const { value } = await scrape(url)
  t.is(value('munjigi_service_instances{service="house",state="usable"}'), 2)
  t.is(value('munjigi_ejections_total{service="house"}'), 1)
})

test('panic is told', async (t) => {
  const origins = [await deadOrigin(), await deadOrigin()]
  const { url } = await startGatewayFor(t, origins, { 'eject-after': 1, panic: '60%' })
  t.is((await scrape(url)).value('munjigi_panic{service="house"}'), 0)
  await request(`${url}/api/house`)
  const { value } = await scrape(url)
  t.is(value('munjigi_panic{service="house"}'), 1)
  t.is(value('munjigi_service_instances{service="house",state="usable"}'), 2, 'all of them are used')
})

test('a retry for which there is no budget is counted as refused', async (t) => {
  const origins = [(await resetting(t)).origin, (await resetting(t)).origin]
  const { url } = await startGatewayFor(t, origins, { 'eject-after': 0, 'retry-budget': '0%' })
  await Promise.all(Array.from({ length: 60 }, () => request(`${url}/api/house`)))
  const { value } = await scrape(url)
  const made = value('munjigi_retries_total{service="house"}') ?? 0
  const refused = value('munjigi_retries_refused_total{service="house"}') ?? 0
  t.is(made + refused, 60)
  t.true(made >= 30 && refused > 0, `${made} made, ${refused} refused`)
})

test('who is at a house, who waits, and who found the queue full is told', async (t) => {
  const house = await scriptedUpstream(t, () => {})
  const limits = { concurrency: 1, queue: 1, 'queue-timeout': '20s', timeout: '20s' }
  const { url } = await startGatewayFor(t, house.origin, limits)
  const gone = new AbortController()
  const waiting = [0, 1].map(() => fetch(`${url}/api/house`, { signal: gone.signal }).catch(() => {}))
  await until(async () => {
    const { value } = await scrape(url)
    return value('munjigi_queued_requests{service="house"}') === 1
  }, 'one waits')
  t.is(codeOf(await request(`${url}/api/house`)), 'overloaded')
  const { value } = await scrape(url)
  t.is(value('munjigi_requests_in_flight{service="house"}'), 1)
  t.is(value('munjigi_queue_refusals_total{service="house",reason="full"}'), 1)
  t.is(value('munjigi_queue_refusals_total{service="house",reason="timeout"}'), 0)
  gone.abort()
  await Promise.all(waiting)
  await until(async () => {
    const { value } = await scrape(url)
    const inFlight = value('munjigi_requests_in_flight{service="house"}')
    return inFlight === 0 && value('munjigi_queued_requests{service="house"}') === 0
  }, 'nobody is left')
  const after = await scrape(url)
  t.is(
    after.value('munjigi_queue_refusals_total{service="house",reason="timeout"}'),
    0,
    'they left by themselves',
  )
})

for (const [what, limits] of [
  ['the queue allows', { 'queue-timeout': '50ms', timeout: '20s' }],
  ['its deadline allows', { 'queue-timeout': '20s', timeout: '300ms' }],
] as const) {
  test(`who waits for longer than ${what} is counted`, async (t) => {
    // An open upload is under no deadline, and keeps its place.
    const house = await scriptedUpstream(t, () => {})
    const { url } = await startGatewayFor(t, house.origin, { concurrency: 1, ...limits })
    const upload = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) })
    const gone = new AbortController()
    t.teardown(() => gone.abort())
    const first = { method: 'POST', body: upload, duplex: 'half', signal: gone.signal }
    fetch(`${url}/api/house`, first as RequestInit).catch(() => {})
    await until(() => house.requests.length === 1, 'the upload is at the house')
    t.is(codeOf(await request(`${url}/api/house`)), 'overloaded')
    const { value } = await scrape(url)
    t.is(value('munjigi_queue_refusals_total{service="house",reason="timeout"}'), 1)
  })
}

test('a copy that the mirror has no room for is counted as dropped', async (t) => {
  const { origin } = await answering(t)
  const mirror = await scriptedUpstream(t, () => {})
  const open = { auth: 'none', openapi: false }
  const services = {
    house: { ...open, urls: origin, 'mirror-to': 'copy' },
    copy: { ...open, urls: mirror.origin, concurrency: 1 },
  }
  const { url } = await startGateway(t, { file: { services } })
  await request(`${url}/api/house`)
  await until(() => mirror.requests.length === 1, 'a copy is at the mirror')
  t.is((await scrape(url)).value('munjigi_mirror_dropped_total{service="house"}'), 0)
  await request(`${url}/api/house`)
  await request(`${url}/api/house`, { method: 'POST', body: Buffer.alloc(70_000) })
  t.is((await scrape(url)).value('munjigi_mirror_dropped_total{service="house"}'), 2)
})

test('the last known instances of a service are told as held', async (t) => {
  const services = publishedServices([(await answering(t)).origin, await deadOrigin()])
  const { url } = await startGateway(t, { services })
  services.publish([])
  await until(async () => {
    const { value } = await scrape(url)
    return value('munjigi_service_instances{service="house",state="held"}') === 2
  }, 'they are held')
  t.is((await scrape(url)).value('munjigi_service_instances{service="house",state="usable"}'), 0)
})

test('two services that claim one path are a problem, until one of them gives it up', async (t) => {
  const hand = handSource()
  const started = hand
    .started()
    .then(() => hand.publish([service('a', ['http://127.0.0.1:9']), service('b', ['http://127.0.0.1:8'])]))
  const { url } = await startGateway(t, { services: hand })
  await started
  const told = async () => {
    const { value } = await scrape(url)
    return [value('munjigi_address_book_problems'), value('munjigi_address_book_routes')]
  }
  t.deepEqual(await told(), [0, 2])
  const both = ['/x']
  const claimed = [service('a', ['http://127.0.0.1:9'], { path: both })]
  hand.publish([...claimed, service('b', ['http://127.0.0.1:8'], { path: both })])
  await until(async () => (await told()).join() === '1,1', 'they are at odds')
  hand.publish([...claimed, service('b', ['http://127.0.0.1:8'])])
  await until(async () => (await told()).join() === '0,2', 'they agree again')
})

test('a source that has nothing new to say does not grow old, and one that falls silent does', async (t) => {
  const server = await startDnsServer(t)
  server.answer('house.test', { A: ['127.0.0.1'], ttl: 1 })
  const { url } = await startGateway(t, {
    file: { services: { house: { urls: 'http://house.test:9', openapi: false } } },
    env: { DISCOVERY: 'dns', DNS_SERVER: server.address, DNS_REFRESH: '1s' },
  })
  const age = async () =>
    (await scrape(url)).value('munjigi_discovery_source_age_seconds{source="dns"}') ?? Infinity
  let before = await age()
  await until(async () => {
    const now = await age()
    const isYounger = now < before
    before = now
    return isYounger
  }, 'it was heard of again')
  const { value } = await scrape(url)
  t.is(value('munjigi_discovery_changes_total{source="dns"}'), 1)
  t.is(value('munjigi_discovery_source_up{source="dns"}'), 1)
  server.silence()
  await until(async () => (await age()) > 3, 'it grows old')
})

test('a source that fails is down, and one that has all it needs has no age', async (t) => {
  const hand = handSource()
  const started = hand.started().then(() => hand.publish([service('house', ['http://127.0.0.1:9'])]))
  const { url } = await startGateway(t, { services: hand })
  await started
  t.is((await scrape(url)).value('munjigi_discovery_source_up{source="hand"}'), 1)
  hand.end(new Error('gone'))
  await until(
    async () => (await scrape(url)).value('munjigi_discovery_source_up{source="hand"}') === 0,
    'it is down',
  )
  const other = await scrape((await startGatewayFor(t, 'http://127.0.0.1:9')).url)
  t.is(other.value('munjigi_discovery_source_up{source="static"}'), 1)
  t.is(other.value('munjigi_discovery_source_age_seconds{source="static"}'), undefined)
})

const serviceOf = (name: string) =>
  `services: { ${name}: { urls: "http://127.0.0.1:9", auth: none, openapi: false, concurrency: 1 } }`

test('what became of each change of gateway.yaml is counted, and a service that it takes out is gone', async (t) => {
  const { url, write } = await startLiveGateway(t, serviceOf('house'))
  const results = async () => {
    const { value } = await scrape(url)
    const count = (result: string) => value(`munjigi_config_reloads_total{result="${result}"}`)
    return [count('success'), count('failure'), value('munjigi_config_last_reload_successful')].join()
  }
  const first = await scrape(url)
  t.is(await results(), '0,0,1')
  const loadedAt = Number(first.value('munjigi_config_last_reload_success_timestamp_seconds'))
  t.true(Math.abs(Date.now() / 1000 - loadedAt) < 120)
  t.true(first.text.includes('service="house"'))
  await write('services: [')
  await until(async () => (await results()) === '0,1,0', 'the fault is told')
  await write(serviceOf('shop'))
  await until(async () => (await results()) === '1,1,1', 'the change is taken over')
  const after = await scrape(url)
  t.true(Number(after.value('munjigi_config_last_reload_success_timestamp_seconds')) > loadedAt)
  t.true(after.text.includes('service="shop"'))
  t.false(after.text.includes('service="house"'))
})

test('what several processes have to tell is added up, where it is not the same thing', async (t) => {
  const snapshotOf = (count: number) =>
    createMetrics([
      (registry) => {
        for (const ofWorkers of ['sum', 'min', 'max', 'average', 'first'] as const) {
          gauge(registry, { name: `a_${ofWorkers}`, help: 'x', ofWorkers, read: () => [[count]] })
        }
      },
    ]).snapshot()
  const snapshots = [await snapshotOf(4), await snapshotOf(2)].map((one) => structuredClone(one))
  const { text } = await addUpMetrics(snapshots)
  const lines = text.split('\n')
  for (const line of ['a_sum 6', 'a_min 2', 'a_max 4', 'a_average 3', 'a_first 4'])
    t.true(lines.includes(line))
  t.regex(text, /^process_start_time_seconds \d+$/m)
})

test('others get a turn between two metrics, of which each may have thousands of values', async (t) => {
  let turns = 0
  const breathe = async () => {
    turns += 1
  }
  const turnsAtRead: number[] = []
  const read = () => {
    turnsAtRead.push(turns)
    return [[1]] as const
  }
  const metrics = createMetrics(
    [
      (registry) => {
        for (const name of ['a', 'b', 'c']) gauge(registry, { name, help: 'x', read })
      },
    ],
    () => breathe,
  )
  const snapshot = await metrics.snapshot()
  t.deepEqual(turnsAtRead, [0, 1, 2])
  turns = 0
  await addUpMetrics([snapshot, snapshot], breathe)
  t.is(turns, snapshot.length)
})
