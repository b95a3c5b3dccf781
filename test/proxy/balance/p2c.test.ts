import test from 'ava'
import { p2c } from '../../../src/proxy/balance/p2c.ts'
import { seeded } from '../../support/seeded.ts'

const house = (inFlight: number, weight = 1) => ({ inFlight, weight })

/** How many of so many draws each candidate gets, in per cent. */
function shares(weights: readonly number[], draws: number, random: () => number): number[] {
  const pick = p2c.create(random)
  const candidates = weights.map((weight, id) => ({ id, inFlight: 0, weight }))
  const counts = weights.map(() => 0)
  for (let i = 0; i < draws; i += 1) counts[pick(candidates).id]! += 1
  return counts.map((count) => (100 * count) / draws)
}

test('of the two instances drawn, the busier one is never picked', (t) => {
  const random = seeded(1)
  const draws: number[] = []
  const pick = p2c.create(() => {
    const value = random()
    draws.push(value)
    return value
  })
  for (let round = 0; round < 2000; round += 1) {
    const count = 2 + Math.floor(random() * 6)
    const candidates = Array.from({ length: count }, (_, id) => ({ id, ...house(Math.floor(random() * 5)) }))
    draws.length = 0
    const picked = pick(candidates)
    t.is(draws.length, 2, 'without weights nothing else is drawn')
    const first = Math.floor(draws[0]! * count)
    const second = (first + 1 + Math.floor(draws[1]! * (count - 1))) % count
    t.not(first, second, 'two different ones are drawn')
    t.true(picked.id === first || picked.id === second)
    t.is(picked.inFlight, Math.min(candidates[first]!.inFlight, candidates[second]!.inFlight))
  }
})

test('of two instances the idler one is always picked', (t) => {
  const pick = p2c.create(seeded(2))
  for (let i = 0; i < 100; i += 1) {
    t.is(pick([house(3), house(2)]).inFlight, 2)
    t.is(pick([house(2), house(3)]).inFlight, 2)
  }
})

test('the only instance is picked without drawing', (t) => {
  const pick = p2c.create(() => t.fail('drew') as never)
  const only = house(9, 0.1)
  t.is(pick([only]), only)
})

test('instances that are equally busy get equal shares', (t) => {
  for (const share of shares([1, 1, 1, 1, 1], 50_000, seeded(3))) t.true(Math.abs(share - 20) < 1)
})

const mixtures: readonly (readonly number[])[] = [
  [1, 0.25],
  [1, 0.5, 0.1],
  [0.5, 0.25, 0.25],
  [1, 1, 0.2, 0.2, 0.6],
  [1, ...Array.from({ length: 50 }, () => 0.01)],
  [0.001, 0.003],
]
for (const [index, weights] of mixtures.entries()) {
  test(`idle instances get the shares that their weights ask for (${weights.slice(0, 5)})`, (t) => {
    const sum = weights.reduce((total, weight) => total + weight)
    const found = shares(weights, 100_000, seeded(10 + index))
    for (const [id, share] of found.entries()) {
      const due = (100 * weights[id]!) / sum
      // Some five standard deviations of 100 000 draws.
      t.true(Math.abs(share - due) < 0.8, `${id}: ${share.toFixed(2)} %, due ${due.toFixed(2)} %`)
    }
  })
}

test('busy instances are compared by what they have in flight for their weight', (t) => {
  const pick = p2c.create(seeded(4))
  const strong = house(7)
  const weak = house(2, 0.25)
  for (let i = 0; i < 100; i += 1) t.is(pick([strong, weak]), strong, '7 for 1 against 2 for a quarter')
  strong.inFlight = 9
  for (let i = 0; i < 100; i += 1) t.is(pick([strong, weak]), weak)
})

test('requests that pile up are spread: no instance has many more in flight than another', (t) => {
  const pick = p2c.create(seeded(4))
  const houses = Array.from({ length: 10 }, () => house(0))
  for (let i = 0; i < 5000; i += 1) pick(houses).inFlight += 1
  const loads = houses.map(({ inFlight }) => inFlight)
  t.true(Math.max(...loads) - Math.min(...loads) <= 10, `${loads}`)
})

test('requests that pile up are spread by weight', (t) => {
  const pick = p2c.create(seeded(5))
  const houses = [1, 1, 0.5, 0.25].map((weight) => house(0, weight))
  for (let i = 0; i < 5500; i += 1) pick(houses).inFlight += 1
  const [a = 0, b = 0, c = 0, d = 0] = houses.map(({ inFlight }) => inFlight)
  for (const [found, due] of [
    [a, 2000],
    [b, 2000],
    [c, 1000],
    [d, 500],
  ] as const)
    t.true(Math.abs(found - due) < 30, `${found}, due ${due}`)
})

test('the ends of the random range are safe', (t) => {
  for (const value of [0, 1 - Number.EPSILON]) {
    for (let count = 1; count <= 5; count += 1) {
      for (const weight of [1, 0.5, 0.001]) {
        const candidates = Array.from({ length: count }, () => house(0, weight))
        t.true(candidates.includes(p2c.create(() => value)(candidates)))
      }
    }
  }
})
