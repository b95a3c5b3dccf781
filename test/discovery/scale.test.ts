import test, { type ExecutionContext } from 'ava'
import { createAddressBook } from '../../src/discovery/address-book.ts'
import type { Service } from '../../src/discovery/source.ts'
import { createLookup, type Table } from '../../src/discovery/table.ts'
import { createOutlierDetection } from '../../src/proxy/outlier.ts'
import { createProxyRoutes } from '../../src/proxy/routes.ts'
import { createUpstreams, type Upstreams } from '../../src/proxy/upstreams.ts'
import { handSource, recordedLog, service } from '../support/hand-source.ts'

const count = 1000
const names = Array.from({ length: count }, (_, number) => `service-${number}`)

function origins(number: number): string[] {
  return Array.from({ length: 10 }, (_, i) => `http://10.0.${number >> 8}.${number & 255}:${8001 + i}`)
}

/** Every object is made anew, as by a source that reads everything again. */
const all = () => names.map((name, number) => service(name, origins(number), { openapi: false }))

/** The address book and the proxy's routes as the gateway puts them together; the upstreams that are asked for are counted. */
async function bigTown(t: ExecutionContext) {
  const source = handSource()
  const log = recordedLog()
  let now = 0
  const addressBook = createAddressBook({
    discovery: { sources: [source.configured], holdMs: 60_000 },
    overrides: new Map(),
    reserved: () => false,
    log,
    // Changes that come within 20 ms of one another would be put together.
    now: () => (now += 1000),
  })
  const upstreams = createUpstreams({ connectTimeoutMs: 1000, idleTimeoutMs: 1000 })
  const asked: string[] = []
  const counting: Upstreams = {
    ...upstreams,
    of(name, instance) {
      asked.push(name)
      return upstreams.of(name, instance)
    },
  }
  const outliers = createOutlierDetection({ log })
  const routes = createProxyRoutes({
    ...{ upstreams: counting, outliers, defaultTimeoutMs: 1000, random: Math.random, log },
  })
  const tables: Table[] = []
  addressBook.subscribe(routes.update)
  addressBook.subscribe((table) => void tables.push(table))
  t.teardown(async () => {
    await addressBook.stop()
    outliers.stop()
    await upstreams.destroy()
  })
  const started = source.started()
  addressBook.start()
  await started
  const publish = (services: readonly Service[]) => {
    asked.length = 0
    source.publish(services)
    return { table: addressBook.current(), found: names.map((name) => routes.find(`/api/${name}/x`)) }
  }
  return { publish, asked, tables }
}

test('what one of 1000 services changes leaves the routes of the others as they are', async (t) => {
  const { publish, asked } = await bigTown(t)
  const before = publish(all())
  t.is(asked.length, 10 * count)
  const after = publish(all().with(500, service('service-500', origins(500).slice(1), { openapi: false })))
  t.is(after.table.version, before.table.version + 1)
  const changed = names.filter((_, number) => before.found[number] !== after.found[number])
  t.deepEqual(changed, ['service-500'])
  t.deepEqual(new Set(asked), new Set(['service-500']))
  const known = new Set(before.table.routes)
  t.is(after.table.routes.filter((route) => !known.has(route)).length, 1)
})

test('a service that comes, and one that goes, leave the routes of the others as they are', async (t) => {
  const { publish, asked } = await bigTown(t)
  const before = publish(all().slice(1))
  publish(all())
  t.deepEqual(new Set(asked), new Set(['service-0']))
  const after = publish(all().slice(0, -1))
  t.deepEqual(asked, [])
  const changed = names.filter((_, number) => before.found[number] !== after.found[number])
  t.deepEqual(changed, ['service-0'])
})

test('1000 services that say the same again make no table', async (t) => {
  const { publish, tables } = await bigTown(t)
  for (let times = 0; times < 3; times += 1) publish(all().toReversed())
  t.is(tables.length, 1)
})

test('looking a path up takes as long among 10 000 prefixes as among 10, give or take what memory costs', (t) => {
  const [few, many] = [10, 10_000].map((size) => {
    const prefixes = Array.from({ length: size }, (_, number) => ({ prefix: `/api/service-${number}` }))
    const find = createLookup(prefixes)
    // The best of twenty: whatever else the machine does, one of them is undisturbed.
    const times = Array.from({ length: 20 }, () => {
      const startedAt = performance.now()
      for (let i = 0; i < 200; i += 1) find(`/api/service-${(i * 7919) % size}/users/42`)
      return performance.now() - startedAt
    })
    return Math.min(...times)
  })
  // One after the other they would take a thousand times as long.
  t.true(many! < 30 * few!, `${few} ms and ${many} ms`)
})
