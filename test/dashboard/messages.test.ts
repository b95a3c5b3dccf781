import test from 'ava'
import { createMessages } from '../../src/dashboard/messages.ts'
import type { Points, Snapshot } from '../../src/dashboard/snapshot.ts'

const gateway = {
  version: '1',
  state: 'ready',
  routes: 1,
  active: 0,
  workers: [],
  perSecond: 0,
  errorShare: 0,
} as const

const house = (perSecond: number) => ({
  ...({ source: 'static', provenance: 'named', routes: [], instances: [], document: undefined } as const),
  ...{ perSecond, errorShare: 0 },
})

const snapshot = (services: Readonly<Record<string, number>>): Snapshot => ({
  ...{ gateway, config: null, sources: [], problems: [], tokens: null },
  services: new Map(Object.entries(services).map(([name, rate]) => [name, house(rate)])),
})

const nothing: Points = new Map()
const upTo = (newest: number, points: Points = nothing) => ({ newest, points })

test('a change has what differs and nothing else', (t) => {
  const messages = createMessages()
  messages.change(snapshot({ a: 1, b: 1 }), upTo(5), 1000)
  t.deepEqual(JSON.parse(messages.change(snapshot({ a: 1, b: 2 }), upTo(5), 2000)), {
    at: 2000,
    newest: 5,
    services: { b: JSON.parse(JSON.stringify(house(2))) },
  })
  t.deepEqual(JSON.parse(messages.change(snapshot({ a: 1, b: 2 }), upTo(5), 3000)), { at: 3000, newest: 5 })
})

test('a service that is gone is named', (t) => {
  const messages = createMessages()
  messages.change(snapshot({ a: 1, b: 1 }), upTo(5), 1000)
  t.deepEqual(JSON.parse(messages.change(snapshot({ a: 1 }), upTo(5), 2000)).gone, ['b'])
})

test('points are told once for each slot', (t) => {
  const messages = createMessages()
  const points: Points = new Map([
    ['a', [[5, 1, 0, 2, 5]]],
    ['b', []],
  ])
  t.deepEqual(JSON.parse(messages.change(snapshot({}), upTo(5, points), 1000)).points, {
    a: [[5, 1, 0, 2, 5]],
  })
  t.is(JSON.parse(messages.change(snapshot({}), upTo(5, points), 2000)).points, undefined)
  t.deepEqual(JSON.parse(messages.change(snapshot({}), upTo(6, points), 3000)).points, {
    a: [[5, 1, 0, 2, 5]],
  })
})

test('everything is what was taken in last', (t) => {
  const messages = createMessages()
  messages.change(snapshot({ a: 1 }), upTo(5), 1000)
  messages.change(snapshot({ __proto__: 0, a: 3 }), upTo(5), 2000)
  const all = JSON.parse(messages.all(upTo(5), 3000))
  t.is(all.services.a.perSecond, 3)
  t.deepEqual(Object.keys(all), [
    'at',
    'newest',
    'gateway',
    'config',
    'sources',
    'problems',
    'tokens',
    'services',
  ])
})
