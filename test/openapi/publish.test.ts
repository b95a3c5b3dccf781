import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { createDocumentCollector } from '../../src/openapi/collect.ts'
import { createGatewayDocument } from '../../src/openapi/document.ts'
import type { PublishedRoute } from '../../src/openapi/public-paths.ts'
import { createPublisher, type PublisherLimits } from '../../src/openapi/publish.ts'
import { createWorkshop, JobFailed, type ServedDocument, type Workshop } from '../../src/openapi/workshop.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

const own = createGatewayDocument({ routePrefix: '', version: '1.0.0', tokens: false, dummies: false })
/** One thread for all tests of this file. */
const workshop = createWorkshop()
test.after.always(() => workshop.stop())

const routeTo = (service: string, origin: string): PublishedRoute => ({
  ...{ service, prefix: `/api/${service}`, strip: '', auth: 'none', scopes: [], openapi: '/openapi.json' },
  instances: [{ id: origin, origin }],
})

/** A house whose document has one operation that says of itself what `summary` gives. */
async function houseWith(t: ExecutionContext, service: string, summary: () => string) {
  return httpUpstream(t, (_request, response) => {
    const operation = { summary: summary(), responses: { 200: { description: 'Good' } } }
    response.setHeader('Content-Type', 'application/json')
    response.end(
      JSON.stringify({
        openapi: '3.1.0',
        info: { title: service, version: '1' },
        paths: { [`/api/${service}`]: { get: operation } },
      }),
    )
  })
}

interface Setting {
  readonly intervalMs?: number
  readonly limits?: Partial<PublisherLimits>
  /** Stands before every merge. */
  readonly before?: (only: string | undefined) => Promise<void> | void
}

/** A publisher on a table that the test sets, and what it merged. */
function startPublisher(t: ExecutionContext, routes: readonly PublishedRoute[], setting: Setting = {}) {
  const { intervalMs = 60_000, limits = {}, before = () => {} } = setting
  let current = { version: 1, routes }
  const listeners = new Set<() => void>()
  const merges: (string | undefined)[] = []
  const lines: string[] = []
  const keep = (_: unknown, line: string) => void lines.push(line)
  const log = { debug: keep, info: keep, warn: keep, error: keep }
  const table = {
    current: () => current,
    subscribe(listener: (table: never) => void) {
      const call = () => listener({} as never)
      listeners.add(call)
      return () => listeners.delete(call)
    },
  }
  const counted: Pick<Workshop, 'merge'> = {
    async merge(job, signal) {
      merges.push(job.only)
      await before(job.only)
      return workshop.merge(job, signal)
    },
  }
  const collector = createDocumentCollector({
    ...{ table, workshop, log },
    limits: { retryMs: 10, intervalMs },
  })
  const publisher = createPublisher({
    ...{ own, routePrefix: '', table, collector, workshop: counted, log },
    limits: { pauseMs: 10, ...limits },
  })
  t.teardown(async () => {
    publisher.stop()
    await collector.stop()
  })
  collector.start()
  publisher.start()
  return {
    ...{ publisher, collector, merges, lines },
    setRoutes(next: readonly PublishedRoute[]) {
      current = { version: current.version + 1, routes: next }
      for (const listener of listeners) listener()
    },
  }
}

const textOf = ({ body }: ServedDocument) => Buffer.from(body).toString()

test('whoever asks first waits for the whole; after that it is there at once', async (t) => {
  const { publisher } = startPublisher(t, [])
  const first = publisher.whole()
  t.true(first instanceof Promise)
  const document = await first
  t.true('/livez' in JSON.parse(textOf(document)).paths)
  t.is(publisher.whole(), document)
})

test('whoever asks while it changes gets the last one at once, and soon the new one', async (t) => {
  let word = 'first'
  const house = await houseWith(t, 'house', () => word)
  const held = Promise.withResolvers<void>()
  let hold = false
  const { publisher } = startPublisher(t, [routeTo('house', house.origin)], {
    intervalMs: 10,
    before: () => (hold ? held.promise : undefined),
  })
  await until(async () => textOf(await publisher.whole()).includes('first'), 'the first is merged')
  hold = true
  word = 'second'
  await once(house.server, 'request')
  await once(house.server, 'request')
  const meanwhile = publisher.whole()
  t.false(meanwhile instanceof Promise)
  t.true(textOf(meanwhile as ServedDocument).includes('first'))
  held.resolve()
  await until(async () => textOf(await publisher.whole()).includes('second'), 'the second is merged')
})

test('nothing is merged while nobody asks and no service has a document', async (t) => {
  const { merges, setRoutes, collector } = startPublisher(t, [])
  setRoutes([{ ...routeTo('house', 'http://127.0.0.1:1'), openapi: false }])
  t.is(collector.collected().get('house')?.status, 'none')
  t.deepEqual(merges, [])
})

test('what a service gives is merged before anybody asks', async (t) => {
  const house = await houseWith(t, 'house', () => 'first')
  const { publisher } = startPublisher(t, [routeTo('house', house.origin)])
  await until(() => !(publisher.whole() instanceof Promise), 'it is merged')
  t.true(textOf(await publisher.whole()).includes('first'))
})

test('instances that come and go are no reason to merge', async (t) => {
  const house = await houseWith(t, 'house', () => 'first')
  const route = routeTo('house', house.origin)
  const { publisher, merges, setRoutes } = startPublisher(t, [route])
  await until(async () => textOf(await publisher.whole()).includes('first'), 'it is merged')
  const { length } = merges
  setRoutes([{ ...route, instances: [...route.instances, { id: 'b', origin: `${house.origin}/` }] }])
  await once(house.server, 'request')
  setRoutes([route, { ...route, prefix: '/api/other' }])
  await until(() => merges.length > length, 'a new route is merged')
  t.is(merges.length, length + 1)
})

test('a service whose document changes all the time makes for one merge in a pause', async (t) => {
  let count = 0
  const house = await houseWith(t, 'restless', () => {
    count += 1
    return `change ${count}`
  })
  const calm = await houseWith(t, 'calm', () => 'unmoved')
  const startedAt = performance.now()
  const routes = [routeTo('restless', house.origin), routeTo('calm', calm.origin)]
  const { publisher, merges, lines } = startPublisher(t, routes, { intervalMs: 10, limits: { pauseMs: 300 } })
  const begun = merges.length
  await until(() => count >= 60, 'it has been fetched again and again')
  const turns = (performance.now() - startedAt) / 300
  t.true(merges.length - begun <= turns + 1, `${merges.length} merges in ${turns} pauses`)
  const text = textOf(await publisher.whole())
  t.true(text.includes('unmoved') && text.includes('"change '))
  t.deepEqual(lines, [])
})

test('a merge that fails leaves the last good one, and the largest document out', async (t) => {
  let word = 'first'
  const large = await houseWith(t, 'large', () => `first ${'x'.repeat(1000)}`)
  const small = await houseWith(t, 'small', () => word)
  let fail = false
  /** What stands when a merge begins, from the failing one on. */
  const served: unknown[] = []
  const routes = [routeTo('large', large.origin), routeTo('small', small.origin)]
  const { publisher, collector, lines } = startPublisher(t, routes, {
    intervalMs: 20,
    before() {
      if (!fail) return
      served.push(publisher.whole())
      if (collector.collected().get('large')?.status === 'ok') throw new JobFailed('takes too long')
    },
  })
  await until(async () => textOf(await publisher.whole()).includes('first x'), 'the first is merged')
  await until(async () => textOf(await publisher.whole()).includes('"first"'), 'both are merged')
  const good = await publisher.whole()
  fail = true
  word = 'second'
  await until(() => collector.collected().get('large')?.status === 'invalid', 'the large one is given up')
  await until(async () => textOf(await publisher.whole()).includes('"second"'), 'the other one is merged')
  t.is(served[1], good)
  const services = JSON.parse(textOf(await publisher.whole()))['x-munjigi-services']
  t.like(services, [
    { name: 'large', status: 'invalid', reason: 'is left out: merging it takes too long' },
    { name: 'small', status: 'ok' },
  ])
  t.is(lines.filter((line) => line.includes('cannot be merged')).length, 1)
})

test('a document that cannot be made is an error, and made when it can', async (t) => {
  let fail = true
  const { publisher } = startPublisher(t, [], {
    before() {
      if (fail) throw new JobFailed('takes too long')
    },
  })
  await t.throwsAsync(async () => publisher.whole(), { code: 'document_unavailable' } as object)
  fail = false
  await t.notThrowsAsync(async () => publisher.whole())
})

test('whoever has waited long enough hears that it is not there yet', async (t) => {
  const { publisher } = startPublisher(t, [], { limits: { waitMs: 50 }, before: () => new Promise(() => {}) })
  await t.throwsAsync(async () => publisher.whole(), { message: 'It is still being put together.' })
})

test("one service's document is merged when somebody asks, once for all of them", async (t) => {
  const house = await houseWith(t, 'house', () => 'first')
  const other = await houseWith(t, 'other', () => 'elsewhere')
  const { publisher, collector, merges } = startPublisher(t, [
    routeTo('house', house.origin),
    routeTo('other', other.origin),
  ])
  t.is(publisher.single('nobody'), undefined)
  await until(
    () => [...collector.collected().values()].every(({ status }) => status === 'ok'),
    'both are read',
  )
  const [one, two] = await Promise.all([publisher.single('house'), publisher.single('house')])
  t.is(one, two)
  t.is(publisher.single('house'), one)
  t.true(textOf(one!).includes('first'))
  t.false(textOf(one!).includes('elsewhere'))
  t.is(merges.filter((only) => only === 'house').length, 1)
})

test("one service's document says so once the service gives none any more", async (t) => {
  const house = await houseWith(t, 'house', () => 'first')
  const { publisher, collector, setRoutes } = startPublisher(t, [routeTo('house', house.origin)])
  const status = () => collector.collected().get('house')?.status
  await until(() => status() === 'ok', 'it is read')
  t.regex(textOf((await publisher.single('house'))!), /"status":"ok"/)
  setRoutes([{ ...routeTo('house', house.origin), instances: [] }])
  await until(() => status() === 'stale', 'the service has gone')
  t.regex(textOf((await publisher.single('house'))!), /"status":"stale"/)
})

test('single documents are kept up to a size in all', async (t) => {
  const names = ['a', 'b', 'c', 'd']
  // 100 KB, which gzip makes half of.
  const text = randomBytes(50_000).toString('hex')
  const houses = await Promise.all(names.map((name) => houseWith(t, name, () => text)))
  const routes = houses.map(({ origin }, i) => routeTo(names[i]!, origin))
  const { publisher, collector, merges } = startPublisher(t, routes, { limits: { cacheBytes: 400_000 } })
  await until(
    () => [...collector.collected().values()].every(({ status }) => status === 'ok'),
    'all are read',
  )
  for (const name of [...names, 'd', 'a']) await publisher.single(name)
  t.deepEqual(
    merges.filter((only) => only !== undefined),
    [...names, 'a'],
  )
})

test('two gateways that know the same serve the same bytes', async (t) => {
  const house = await houseWith(t, 'house', () => 'first')
  const hashOf = async () => {
    const { publisher } = startPublisher(t, [routeTo('house', house.origin)])
    await until(async () => textOf(await publisher.whole()).includes('"first"'), 'it is merged')
    return (await publisher.whole()).hash
  }
  t.is(await hashOf(), await hashOf())
})
