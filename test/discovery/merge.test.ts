import test from 'ava'
import type { Description } from '../../src/discovery/description.ts'
import { createDrafting } from '../../src/discovery/draft.ts'
import { buildRoutes, type KnownService, mergeSnapshots } from '../../src/discovery/merge.ts'
import type { Service } from '../../src/discovery/source.ts'
import { emptyTable, type Table } from '../../src/discovery/table.ts'
import { service } from '../support/hand-source.ts'

const a = 'http://127.0.0.1:1'
const b = 'http://127.0.0.1:2'

function build(
  services: readonly (Service & { vanished?: boolean })[],
  {
    overrides = {},
    reserved = () => false,
    previous = emptyTable,
    complete = true,
  }: {
    overrides?: Readonly<Record<string, Description>>
    reserved?: (prefix: string) => boolean
    previous?: Table
    complete?: boolean
  } = {},
) {
  const known = services.map(({ vanished = false, ...one }): KnownService => ({ service: one, vanished }))
  const { routes, problems } = buildRoutes(known, {
    draft: createDrafting(reserved),
    overrides: new Map(Object.entries(overrides)),
    ...{ previous, complete },
  })
  const table: Table = { version: previous.version + 1, routes }
  return {
    table,
    routes,
    problems,
    holders: Object.fromEntries(routes.map((route) => [route.prefix, route.service])),
  }
}

test('the first source that has instances of a service speaks for it', (t) => {
  const merged = mergeSnapshots([
    [service('users', [a], { strip: '/first' }), service('orders', [])],
    [service('users', [b], { strip: '/second' }), service('orders', [b])],
  ])
  t.deepEqual(merged.get('users'), service('users', [a], { strip: '/first' }))
  t.deepEqual(merged.get('orders')?.instances, service('orders', [b]).instances)
})

test('a service that no source has instances of is the first source’s', (t) => {
  const merged = mergeSnapshots([
    [service('users', [], { strip: '/first' })],
    [service('users', [], { strip: '/second' })],
  ])
  t.is(merged.get('users')?.description.strip, '/first')
})

test('a service that says nothing is found at /api/<service>, which is cut, by callers with a token', (t) => {
  const { routes } = build([{ name: 'users', instances: [], description: { enable: true } }])
  t.like(routes[0], {
    prefix: '/api/users',
    service: 'users',
    strip: '/api/users',
    auth: 'required',
    scopes: [],
    timeoutMs: undefined,
    retries: 1,
    openapi: '/openapi.json',
    inject: undefined,
    balance: 'p2c',
  })
})

test('every route of a service has what it says of ejections, with Envoy’s defaults for the rest', (t) => {
  const { routes } = build([
    service('users', [a], { path: ['/a', '/b'], 'eject-after': 3, 'eject-share': 40, 'slow-start': 30_000 }),
    service('carts', [a]),
  ])
  const health = (name: string) => routes.filter((route) => route.service === name).map((one) => one.health)
  const said = { ejectAfter: 3, ejectTimeMs: 30_000, ejectPercent: 40, panicPercent: 50, slowStartMs: 30_000 }
  t.deepEqual(health('users'), [said, said])
  t.deepEqual(health('carts'), [
    { ejectAfter: 5, ejectTimeMs: 30_000, ejectPercent: 10, panicPercent: 50, slowStartMs: 0 },
  ])
})

test('where a path is given nothing is cut unless it says so', (t) => {
  t.is(build([service('users', [a], { path: ['/users'] })]).routes[0]?.strip, '')
  t.is(build([service('users', [a], { path: ['/x/users'], strip: '/x' })]).routes[0]?.strip, '/x')
  t.is(build([service('users', [a], { strip: '' })]).routes[0]?.strip, '')
})

test('a service whose name makes no path is not routed without a path of its own, and is told of', (t) => {
  for (const name of ['my service', '..', 'x%2Fy', 'ü', 'q?x']) {
    const unrouted = build([service(name, [a], {})])
    t.deepEqual(unrouted.holders, {})
    t.deepEqual(unrouted.problems, [`service "${name}": its name makes no path: expected a path of its own`])
    t.deepEqual(build([service(name, [a], { path: ['/api/x'] })]).holders, { '/api/x': name })
  }
})

test('a strip that is no beginning of the path cuts nothing, and is a problem', (t) => {
  const { routes, problems } = build([
    service('users', [a], { path: ['/api/users', '/apiary'], strip: '/api' }),
  ])
  t.deepEqual(
    routes.map(({ prefix, strip }) => [prefix, strip]),
    [
      ['/api/users', '/api'],
      ['/apiary', ''],
    ],
  )
  t.deepEqual(problems, ['service users: strip /api is not the beginning of /apiary: nothing is cut'])
})

test('what the operator says wins over what the service says, key by key', (t) => {
  const { routes } = build(
    [service('users', [a], { path: ['/a'], auth: 'none', timeout: 1000, retries: 5 })],
    {
      overrides: { users: { path: ['/b'], auth: 'required' } },
    },
  )
  t.like(routes[0], { prefix: '/b', auth: 'required', timeoutMs: 1000, retries: 5 })
})

test('enable: false hides a service, whoever says it', (t) => {
  t.deepEqual(build([service('users', [a], { enable: false })]).routes, [])
  t.deepEqual(build([service('users', [a])], { overrides: { users: { enable: false } } }).routes, [])
  t.is(
    build([service('users', [a], { enable: false })], { overrides: { users: { enable: true } } }).routes
      .length,
    1,
  )
})

test('what the operator says of a service that nobody knows makes no route', (t) => {
  t.deepEqual(build([], { overrides: { users: { path: ['/a'] } } }).routes, [])
})

test('a path that is the gateway’s own is left out, and is a problem; the service keeps its others', (t) => {
  const { holders, problems } = build([service('users', [a], { path: ['/docs', '/users'] })], {
    reserved: (prefix) => prefix === '/docs',
  })
  t.deepEqual(holders, { '/users': 'users' })
  t.deepEqual(problems, ["service users claims /docs, which is the gateway's own: left out"])
})

test('routes come longest prefix first', (t) => {
  const { routes } = build([service('x', [a], { path: ['/', '/a', '/a/b/c', '/b', '/a/b'] })])
  t.deepEqual(
    routes.map((route) => route.prefix),
    ['/a/b/c', '/a/b', '/a', '/b', '/'],
  )
})

test('one service may name one path twice', (t) => {
  const { holders, problems } = build([service('users', [a], { path: ['/u', '/u'] })])
  t.deepEqual(holders, { '/u': 'users' })
  t.deepEqual(problems, [])
})

const claim = (name: string) => service(name, [a], { path: ['/shared', `/${name}`] })

test('of two services that claim one path the first keeps it, and the other keeps what is its own', (t) => {
  const { holders, problems } = build([claim('old'), claim('new')])
  t.deepEqual(holders, { '/shared': 'old', '/old': 'old', '/new': 'new' })
  t.deepEqual(problems, ['services old and new both claim /shared: old keeps it, new is not reachable there'])
})

test('where nobody held a path the oldest of those that claim it has it, in whatever order they come', (t) => {
  const old = { ...service('zed', [a], { path: ['/api/x'] }), since: 5 }
  const young = { ...service('aaa', [b], { path: ['/api/x'] }), since: 6 }
  const written = service('written', [b], { path: ['/api/x'] })
  t.deepEqual(build([young, old]).holders, { '/api/x': 'zed' })
  t.deepEqual(build([old, young]).holders, { '/api/x': 'zed' })
  t.deepEqual(build([old, young, written]).holders, { '/api/x': 'written' }, 'what the operator has named')
  t.deepEqual(build([old, young], { previous: build([young]).table }).holders, { '/api/x': 'aaa' }, 'held')
})

test('who holds a path keeps it, in whatever order the claims come', (t) => {
  const { table } = build([claim('holder')])
  for (const order of [
    [claim('holder'), claim('new'), claim('third')],
    [claim('new'), claim('holder'), claim('third')],
    [claim('new'), claim('third'), claim('holder')],
  ]) {
    const { holders, problems } = build(order, { previous: table })
    t.is(holders['/shared'], 'holder')
    t.deepEqual(problems.toSorted(), [
      'services holder and new both claim /shared: holder keeps it, new is not reachable there',
      'services holder and third both claim /shared: holder keeps it, third is not reachable there',
    ])
  }
})

test('a holder without instances is still the holder', (t) => {
  const { table } = build([claim('holder')])
  const { holders } = build([claim('new'), { ...claim('holder'), instances: [] }], { previous: table })
  t.is(holders['/shared'], 'holder')
})

test('a service that has vanished yields its path to anybody, without a complaint', (t) => {
  const { table } = build([claim('holder')])
  for (const order of [
    [{ ...claim('holder'), vanished: true }, claim('new')],
    [claim('new'), { ...claim('holder'), vanished: true }],
  ]) {
    const { holders, problems } = build(order, { previous: table })
    t.is(holders['/shared'], 'new')
    t.is(holders['/holder'], 'holder')
    t.deepEqual(problems, [])
  }
})

test('who took the path over keeps it when the old holder comes back', (t) => {
  const first = build([claim('holder')])
  const second = build([{ ...claim('holder'), vanished: true }, claim('new')], { previous: first.table })
  const third = build([claim('holder'), claim('new')], { previous: second.table })
  t.is(third.holders['/shared'], 'new')
})

test('a service that is hidden gives its path up', (t) => {
  const { table } = build([claim('holder')])
  const { holders } = build([claim('holder'), claim('new')], {
    previous: table,
    overrides: { holder: { enable: false } },
  })
  t.deepEqual(holders, { '/shared': 'new', '/new': 'new' })
})

test('inject where nobody has to say who he is has no effect, and is told of', (t) => {
  const { routes, problems } = build([
    service('users', [a], {
      path: ['/users', { prefix: '/users/me', auth: 'required' }],
      auth: 'none',
      inject: 'kakao',
    }),
  ])
  t.deepEqual(problems, [
    'service users: nobody has to say who he is at /users (auth=none): inject=kakao has no effect there',
  ])
  t.deepEqual(
    routes.map(({ prefix, inject }) => [prefix, inject]),
    [
      ['/users/me', 'kakao'],
      ['/users', 'kakao'],
    ],
  )
})

test('an open path of a service that injects elsewhere is nobody’s mistake', (t) => {
  const path = ['/users', { prefix: '/users/open', auth: 'none' as const }]
  t.deepEqual(build([service('users', [a], { path, auth: 'required', inject: 'kakao' })]).problems, [])
})
