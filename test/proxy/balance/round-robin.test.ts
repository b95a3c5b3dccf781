import test from 'ava'
import { roundRobin } from '../../../src/proxy/balance/round-robin.ts'

const houses = (count: number) => Array.from({ length: count }, (_, id) => ({ id, inFlight: 0, weight: 1 }))
const weighted = (weights: readonly number[]) => weights.map((weight, id) => ({ id, inFlight: 0, weight }))

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

const mixtures: readonly (readonly number[])[] = [
  [1, 0.2, 0.2],
  [1, 0.5],
  [1, 1, 0.1, 0.7],
  [1, 0.01, 0.99, 0.333],
]
for (const weights of mixtures) {
  test(`turns are given by weight (${weights})`, (t) => {
    const pick = roundRobin.create()
    const candidates = weighted(weights)
    const counts = weights.map(() => 0)
    const draws = 10_000
    for (let i = 0; i < draws; i += 1) counts[pick(candidates).id]! += 1
    const sum = weights.reduce((total, weight) => total + weight)
    // Not drawn by chance: nobody is ever more than a turn or two off.
    for (const [id, count] of counts.entries()) {
      const due = (draws * weights[id]!) / sum
      t.true(Math.abs(count - due) <= 2, `${id}: ${count}, due ${due}`)
    }
  })
}

test('turns of the lighter ones fall between those of the heavier, not one after the other', (t) => {
  const pick = roundRobin.create()
  const candidates = weighted([1, 0.2, 0.2])
  const order = Array.from({ length: 70 }, () => pick(candidates).id)
  for (let i = 1; i < order.length; i += 1) {
    t.true(order[i] === 0 || order[i - 1] === 0, `${order}`)
  }
})

test('where nobody has the full weight, as among what is left for a retry, somebody has the turn', (t) => {
  const pick = roundRobin.create()
  const candidates = weighted([0.001, 0.002])
  for (let i = 0; i < 50; i += 1) t.true(candidates.includes(pick(candidates)))
})
