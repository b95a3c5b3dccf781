import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import type { ConfiguredSource, RoutingConfig } from '../../src/config/config.ts'
import { createAddressBook } from '../../src/discovery/address-book.ts'
import type { Description } from '../../src/discovery/description.ts'
import { staticSource } from '../../src/discovery/sources/static.ts'
import { type HandSource, handSource, recordedLog, service } from '../support/hand-source.ts'
import { until } from '../support/until.ts'

type Services = Readonly<Record<string, Description & { readonly urls?: readonly string[] }>>

/** What a gateway.yaml with these services comes to, for these sources or the static one. */
function routing(services: Services, sources?: readonly ConfiguredSource[]): RoutingConfig {
  const urls = new Map(Object.entries(services).flatMap(([name, { urls }]) => (urls ? [[name, urls]] : [])))
  const descriptions = Object.entries(services).map(([name, { urls: _, ...rest }]) => [name, rest] as const)
  const options = staticSource.settings.parse({ environment: {}, urls })
  return {
    services: new Map(descriptions),
    urls,
    sources: sources ?? [{ source: staticSource as ConfiguredSource['source'], options }],
  }
}

function open(t: ExecutionContext, start: RoutingConfig, now?: () => number) {
  const log = recordedLog()
  const book = createAddressBook({
    discovery: { sources: start.sources, holdMs: 30_000 },
    overrides: start.services,
    reserved: () => false,
    log,
    ...(now && { now }),
  })
  t.teardown(() => book.stop())
  book.start()
  const routes = () =>
    book
      .current()
      .routes.map(({ prefix, auth, instances }) => [prefix, auth, instances.map(({ id }) => id).join(' ')])
  return { book, log, routes }
}

const [a, b] = ['http://127.0.0.1:1', 'http://127.0.0.1:2'] as const

test('what the operator says of a route holds at once', (t) => {
  const first = routing({ users: { urls: [a], auth: 'none' } })
  const { book, routes } = open(t, first)
  t.deepEqual(routes(), [['/api/users', 'none', a]])
  book.reload(routing({ users: { urls: [a], path: ['/people'] } }, first.sources), first)
  t.deepEqual(routes(), [['/people', 'required', a]])
})

test('static instances are replaced at once, and a new service is there at once', (t) => {
  const first = routing({ users: { urls: [a] } })
  const { book, routes } = open(t, first)
  book.reload(routing({ users: { urls: [b] }, carts: { urls: [a] } }), first)
  t.deepEqual(routes(), [
    ['/api/carts', 'required', a],
    ['/api/users', 'required', b],
  ])
})

test('a service that the operator takes out is gone at once: nothing of it is held', (t) => {
  const first = routing({ users: { urls: [a] }, carts: { urls: [b] } })
  const { book, routes, log } = open(t, first)
  book.reload(routing({ carts: { urls: [b] } }), first)
  t.deepEqual(routes(), [['/api/carts', 'required', b]])
  t.deepEqual(log.lines, [])
})

test('a service that the operator hides, or shows again, is as he says at once', (t) => {
  const first = routing({ users: { urls: [a] } })
  const { book, routes } = open(t, first)
  const hidden = routing({ users: { urls: [a], enable: false } }, first.sources)
  book.reload(hidden, first)
  t.deepEqual(routes(), [])
  book.reload(first, hidden)
  t.deepEqual(routes(), [['/api/users', 'required', a]])
})

test('a table that is in use does not change under its reader', (t) => {
  const first = routing({ users: { urls: [a] } })
  const { book } = open(t, first)
  const before = book.current()
  book.reload(routing({}), first)
  t.is(before.routes.length, 1)
  t.deepEqual(book.current().routes, [])
})

/** The same source with other settings: by name it is one, and each test leads both. */
const twice = () => [handSource('dns'), handSource('dns')] as const
const with_ = (services: Services, source: HandSource) => routing(services, [source.configured])

test('a source that takes its time is asked anew, and serves what it knew until it has an answer', async (t) => {
  const [before, after] = twice()
  const first = with_({ users: { urls: [a] }, carts: { urls: [a] } }, before)
  const { book, routes } = open(t, first)
  before.publish([service('users', [a]), service('carts', [a])])
  await until(() => routes().length === 2, 'both are there')
  const [context] = before.watches
  book.reload(with_({ users: { urls: [b] } }, after), first)
  // Who was taken out is gone even so.
  t.deepEqual(routes(), [['/api/users', 'none', a]])
  t.true(book.ready())
  const ended = once(context!.signal, 'abort')
  after.publish([service('users', [b])])
  await until(() => routes()[0]?.[2] === b, 'the new instance')
  await ended
  t.is(routes().length, 1)
})

test('a service that is taken out and put back before its source has answered is still there', async (t) => {
  const [before, after] = twice()
  const third = handSource('dns')
  const first = with_({ users: { urls: [a] } }, before)
  const { book, routes } = open(t, first)
  before.publish([service('users', [a])])
  await until(() => routes().length === 1, 'it is there')
  const second = with_({}, after)
  book.reload(second, first)
  t.deepEqual(routes(), [])
  const ended = once(after.watches[0]!.signal, 'abort')
  book.reload(with_({ users: { urls: [a] } }, third), second)
  await ended
  t.deepEqual(routes(), [['/api/users', 'none', a]])
})

test('a service of another source goes on when only its static instances are taken out', async (t) => {
  const consul = handSource('consul')
  const own = routing({ users: { urls: [a], auth: 'none' } })
  const first = { ...own, sources: [...own.sources, consul.configured] }
  const { book, routes } = open(t, first)
  consul.publish([service('users', [b])])
  t.deepEqual(routes(), [['/api/users', 'none', a]])
  const next = routing({ users: { auth: 'optional' } })
  book.reload({ ...next, sources: [...next.sources, consul.configured] }, first)
  await until(() => routes()[0]?.[2] === b, 'Consul’s instance')
  t.deepEqual(routes(), [['/api/users', 'optional', b]])
  t.is(consul.watches.length, 1)
})

test('a reload makes one new table, in which what it does not concern is the very same', (t) => {
  const urls = { users: { urls: [a] }, carts: { urls: [a] } }
  const first = routing(urls)
  let time = 0
  const { book } = open(t, first, () => (time += 1000))
  const before = book.current()
  const next = routing({ ...urls, carts: { urls: [b] } })
  // The descriptions are the operator's, and the reader of the file hands on those that have not changed.
  book.reload({ ...next, services: first.services }, first)
  const after = book.current()
  t.is(after.version, before.version + 1)
  const instancesOf = ({ routes }: typeof before, name: string) =>
    routes.find(({ service }) => service === name)?.instances
  t.is(instancesOf(after, 'users'), instancesOf(before, 'users'))
  t.deepEqual(
    instancesOf(after, 'carts')?.map(({ origin }) => origin),
    [b],
  )
})
