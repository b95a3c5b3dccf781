import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { z } from 'zod'
import { type AddressBookOptions, createAddressBook } from '../../src/discovery/address-book.ts'
import type { DiscoverySource, Service } from '../../src/discovery/source.ts'
import type { Table } from '../../src/discovery/table.ts'
import { calmTest as test } from '../support/calm.ts'
import { startGateway } from '../support/gateway.ts'
import { type HandSource, handSource, recordedLog, service } from '../support/hand-source.ts'
import { publishedServices } from '../support/published-services.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

const a = 'http://127.0.0.1:1'
const b = 'http://127.0.0.1:2'
const holdMs = 30_000
const minutes = 60_000

/** An address book over sources that the test leads, and a clock that only the test moves. */
function open(
  t: ExecutionContext,
  sources: readonly HandSource[] = [handSource()],
  options: Partial<AddressBookOptions> = {},
) {
  const clock = { ms: 1_000_000 }
  const log = recordedLog()
  const book = createAddressBook({
    discovery: { sources: sources.map((source) => source.configured), holdMs },
    overrides: new Map(),
    reserved: () => false,
    log,
    now: () => clock.ms,
    ...options,
  })
  t.teardown(() => book.stop())
  const tables: Table[] = []
  book.subscribe((table) => tables.push(table))
  const [first] = sources as readonly [HandSource]
  /** Publishes and waits until the table that shows it is there. */
  async function publish(services: readonly Service[], source: HandSource = first): Promise<void> {
    clock.ms += 1000
    const { version } = book.current()
    source.publish(services)
    await until(() => book.current().version > version, 'a new table')
  }
  return { book, log, clock, tables, publish, source: first }
}

const instancesOf = (table: Table, name: string) =>
  table.routes.find((route) => route.service === name)?.instances.map((instance) => instance.origin)

test('a snapshot becomes a table, and everybody who listens is told', async (t) => {
  const { book, tables, publish } = open(t)
  book.start()
  t.deepEqual(book.current().routes, [])
  await publish([service('users', [a, b])])
  t.deepEqual(instancesOf(book.current(), 'users'), [a, b])
  t.is(tables.at(-1), book.current())
})

test('a table never changes: a new one takes its place', async (t) => {
  const { book, publish } = open(t)
  book.start()
  await publish([service('users', [a])])
  const before = book.current()
  await publish([service('users', [b])])
  t.deepEqual(instancesOf(before, 'users'), [a])
  t.true(Object.isFrozen(before) && Object.isFrozen(before.routes))
})

test('who no longer listens is not told', async (t) => {
  const { book, publish } = open(t)
  let told = 0
  const end = book.subscribe(() => (told += 1))
  book.start()
  await publish([service('users', [a])])
  end()
  await publish([service('users', [b])])
  t.is(told, 1)
})

test('changes that come together are applied together, the first one at once', async (t) => {
  const { book, tables, source } = open(t)
  book.start()
  source.publish([service('users', [a])])
  t.is(tables.length, 1)
  for (let i = 0; i < 100; i += 1) source.publish([service('users', [`http://127.0.0.1:${i + 1}`])])
  await until(() => tables.length > 1, 'the rest is applied')
  await delay(60)
  t.is(tables.length, 2)
  t.deepEqual(instancesOf(book.current(), 'users'), ['http://127.0.0.1:100'])
})

test('a snapshot that says nothing new makes no table', async (t) => {
  const { tables, publish, source, book } = open(t)
  book.start()
  await publish([service('users', [a])])
  source.publish([service('users', [a])])
  await delay(50)
  t.is(tables.length, 1)
})

test('a clock that is set back delays no change', async (t) => {
  const { book, clock, source } = open(t)
  book.start()
  source.publish([service('users', [a])])
  clock.ms -= 3_600_000
  source.publish([service('users', [b])])
  await until(() => instancesOf(book.current(), 'users')?.[0] === b, 'the change is applied')
  t.pass()
})

for (const [what, gone] of [
  ['names no instance of', [service('users', [])]],
  ['no longer names', []],
] as const) {
  test(`the last known instances are held while a source ${what} a service, then the route is empty`, async (t) => {
    const { book, clock, publish, log } = open(t)
    book.start()
    await publish([service('users', [a])])
    await publish([...gone])
    t.deepEqual(instancesOf(book.current(), 'users'), [a])
    clock.ms += holdMs - 2000
    await publish([...gone, service('other', [a])])
    t.deepEqual(instancesOf(book.current(), 'users'), [a])
    clock.ms += 2000
    await publish([...gone, service('other', [b])])
    t.deepEqual(instancesOf(book.current(), 'users'), [])
    t.is(log.lines.filter(({ message }) => message.includes('no instance of users left')).length, 1)
  })

  test(`an instance that comes back while a source ${what} the others ends the hold`, async (t) => {
    const { book, clock, publish } = open(t)
    book.start()
    await publish([service('users', [a])])
    await publish([...gone])
    await publish([service('users', [b])])
    t.deepEqual(instancesOf(book.current(), 'users'), [b])
    clock.ms += holdMs * 2
    await publish([service('users', [b]), service('other', [a])])
    t.deepEqual(instancesOf(book.current(), 'users'), [b])
    await publish([...gone, service('other', [a])])
    t.deepEqual(instancesOf(book.current(), 'users'), [b])
  })
}

test('a service that nobody names is forgotten ten minutes after the hold', async (t) => {
  const { book, clock, publish } = open(t)
  book.start()
  await publish([service('users', [a])])
  await publish([])
  clock.ms += 10 * minutes
  await publish([service('other', [a])])
  t.deepEqual(instancesOf(book.current(), 'users'), [])
  clock.ms += 1 * minutes
  await publish([service('other', [b])])
  t.is(instancesOf(book.current(), 'users'), undefined)
})

test('a service that is named without instances is never forgotten', async (t) => {
  const { book, clock, publish } = open(t)
  book.start()
  await publish([service('users', [a])])
  await publish([service('users', [])])
  clock.ms += 60 * minutes
  await publish([service('users', []), service('other', [a])])
  t.deepEqual(instancesOf(book.current(), 'users'), [])
})

test('a service that has long been without instances costs nothing', async (t) => {
  const { book, clock, publish, tables } = open(t)
  book.start()
  await publish([service('users', [a])])
  await publish([service('users', [])])
  clock.ms += 60 * minutes
  await publish([service('users', []), service('other', [a])])
  const { length } = tables
  await delay(100)
  t.true(tables.length - length <= 1, `${tables.length - length} tables in 100 ms`)
})

test('a hold longer than ten minutes is kept', async (t) => {
  const source = handSource()
  const { book, clock, publish } = open(t, [source], {
    discovery: { sources: [source.configured], holdMs: 60 * minutes },
  })
  book.start()
  await publish([service('users', [a])])
  await publish([])
  clock.ms += 30 * minutes
  await publish([service('other', [a])])
  t.deepEqual(instancesOf(book.current(), 'users'), [a])
})

test('a service that was never seen with an instance has a route that leads nowhere', async (t) => {
  const { book, publish } = open(t)
  book.start()
  await publish([service('users', [])])
  t.deepEqual(instancesOf(book.current(), 'users'), [])
})

test('a hold that runs out is noticed without a word from any source', async (t) => {
  const source = handSource()
  const { book } = open(t, [source], {
    discovery: { sources: [source.configured], holdMs: 50 },
    now: () => performance.now(),
  })
  book.start()
  source.publish([service('users', [a])])
  source.publish([])
  await until(() => instancesOf(book.current(), 'users')?.length === 0, 'the hold runs out')
  t.pass()
})

test('a description that changes while the instances are held takes effect', async (t) => {
  const { book, publish } = open(t)
  book.start()
  await publish([service('users', [a], { path: ['/old'] })])
  await publish([service('users', [], { path: ['/new'] })])
  t.deepEqual(
    book.current().routes.map(({ prefix, instances }) => [prefix, instances.length]),
    [['/new', 1]],
  )
})

test('a source further back takes over when the one in front has no instance left', async (t) => {
  const [front, back] = [handSource('front'), handSource('back')]
  const { book, publish } = open(t, [front, back])
  book.start()
  await publish([service('users', [a])], front)
  await publish([service('users', [b])], back)
  t.deepEqual(instancesOf(book.current(), 'users'), [a])
  await publish([service('users', [])], front)
  t.deepEqual(instancesOf(book.current(), 'users'), [b])
  await publish([service('users', [a])], front)
  t.deepEqual(instancesOf(book.current(), 'users'), [a])
})

test('it is ready once every source has spoken, and not before the table shows it', async (t) => {
  const [first, second] = [handSource('first'), handSource('second')]
  const { book } = open(t, [first, second])
  book.start()
  t.false(book.ready())
  first.publish([service('users', [a])])
  t.false(book.ready())
  second.publish([service('orders', [b])])
  await until(() => book.ready(), 'both have spoken')
  t.deepEqual(instancesOf(book.current(), 'users'), [a])
  t.deepEqual(instancesOf(book.current(), 'orders'), [b])
})

test('an empty snapshot is a word too', async (t) => {
  const { book, source } = open(t)
  book.start()
  source.publish([])
  await until(() => book.ready(), 'ready')
  t.pass()
})

test('without any source it is ready: there is nothing to wait for', (t) => {
  const { book } = open(t, [])
  book.start()
  t.true(book.ready())
})

test('once ready it stays so, whatever becomes of its sources', async (t) => {
  const { book, source, publish } = open(t)
  book.start()
  await publish([service('users', [a])])
  t.true(book.ready())
  source.end(new Error('gone'))
  await until(() => book.sources()[0]?.state === 'failing', 'the source is failing')
  t.true(book.ready())
  t.deepEqual(instancesOf(book.current(), 'users'), [a])
  await publish([])
  t.true(book.ready())
})

test('a source that breaks before it has spoken keeps the others’ routes from nobody', async (t) => {
  const [good, bad] = [handSource('good'), handSource('bad')]
  const { book, publish } = open(t, [good, bad])
  book.start()
  bad.end(new Error('refused'))
  await publish([service('users', [a])], good)
  t.deepEqual(instancesOf(book.current(), 'users'), [a])
  t.false(book.ready())
  t.deepEqual(
    book.sources().map(({ source, state }) => [source, state]),
    [
      ['good', 'live'],
      ['bad', 'starting'],
    ],
  )
})

test('a problem is logged once as long as it lasts, and again when it comes back', async (t) => {
  const { book, publish, log } = open(t)
  book.start()
  const clash = [service('one', [a], { path: ['/x'] }), service('two', [a], { path: ['/x'] })]
  const count = () => log.lines.filter(({ message }) => message.includes('both claim /x')).length
  await publish(clash)
  await publish([...clash, service('three', [a])])
  t.is(count(), 1)
  await publish([clash[0]!, service('two', [a])])
  await publish(clash)
  t.is(count(), 2)
})

test('who holds a path keeps it when a newcomer with an earlier name claims it', async (t) => {
  const { book, publish } = open(t)
  book.start()
  const holder = service('zoo', [a], { path: ['/x'] })
  await publish([holder])
  await publish([service('ant', [b], { path: ['/x'] }), holder])
  t.deepEqual(
    book.current().routes.map((route) => route.service),
    ['zoo'],
  )
  await publish([service('ant', [b], { path: ['/x'] })])
  t.deepEqual(
    book.current().routes.map((route) => route.service),
    ['ant'],
  )
})

test('a listener that throws stops neither the others nor the address book', async (t) => {
  const { book, publish, log } = open(t)
  const seen: number[] = []
  book.subscribe(() => {
    throw new Error('listener broke')
  })
  book.subscribe((table) => seen.push(table.version))
  book.start()
  await publish([service('users', [a])])
  await publish([service('users', [b])])
  t.is(seen.length, 2)
  t.is(book.sources()[0]?.state, 'live')
  t.true(log.lines.some(({ level }) => level === 'error'))
})

test('stopping ends every source and every timer: nothing changes afterwards', async (t) => {
  const { book, tables, source, publish } = open(t)
  book.start()
  await publish([service('users', [a])])
  source.publish([service('users', [b])])
  const { length } = tables
  await book.stop()
  source.publish([])
  await delay(60)
  t.is(tables.length, length)
  t.true(source.watches.every(({ signal }) => signal.aborted))
})

test('stopping waits for a source that takes its time to let go', async (t) => {
  let released = false
  const slow: DiscoverySource = {
    name: 'slow',
    settings: z.any(),
    async watch(_options, publish, { signal }) {
      publish([])
      await once(signal, 'abort')
      await delay(30)
      released = true
    },
  }
  const { book } = open(t, [], {
    discovery: { sources: [{ source: slow, options: undefined }], holdMs },
  })
  book.start()
  await book.stop()
  t.true(released)
})

test('a service whose instances are gone is served while held, then 503 with Retry-After', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('ok'))
  const services = publishedServices([house.origin], { openapi: false })
  const { url } = await startGateway(t, { services, env: { DISCOVERY_HOLD: '300ms' } })
  t.is((await fetch(`${url}/api/house`)).status, 200)
  services.publish([])
  t.is((await fetch(`${url}/api/house`)).status, 200)
  await until(async () => (await fetch(`${url}/api/house`)).status === 503, 'the hold runs out')
  const response = await fetch(`${url}/api/house`)
  t.is(response.headers.get('retry-after'), '5')
  t.like(await response.json(), { code: 'no_instance', status: 503 })
  services.publish([house.origin])
  await until(async () => (await fetch(`${url}/api/house`)).status === 200, 'the instance is back')
})
