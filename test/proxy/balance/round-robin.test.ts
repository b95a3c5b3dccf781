import test from 'ava'
import { roundRobin } from '../../../src/proxy/balance/round-robin.ts'

const houses = (count: number) => Array.from({ length: count }, (_, id) => ({ id, inFlight: 0 }))

test('every instance has its turn, one after the other', (t) => {
  const pick = roundRobin.create()
  const candidates = houses(3)
  const order = Array.from({ length: 9 }, () => pick(candidates).id)
  t.deepEqual(order.slice(0, 3).toSorted(), [0, 1, 2])
  t.deepEqual(order.slice(3, 6), order.slice(0, 3))
  t.deepEqual(order.slice(6, 9), order.slice(0, 3))
})

test('it stays within the instances when there are fewer of them, or more', (t) => {
  const pick = roundRobin.create()
  for (const count of [5, 2, 1, 4, 1, 3, 8]) {
    const candidates = houses(count)
    t.true(candidates.includes(pick(candidates)))
  }
})

test('each route has turns of its own', (t) => {
  const candidates = houses(2)
  const [one, other] = [roundRobin.create(), roundRobin.create()]
  const first = one(candidates).id
  t.is(other(candidates).id, first)
  t.not(one(candidates).id, first)
})
