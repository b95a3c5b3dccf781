import test from 'ava'
import { p2c } from '../../../src/proxy/balance/p2c.ts'

/** A small generator with a seed (mulberry32), so that a failure can be seen again. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
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
    const candidates = Array.from({ length: count }, (_, id) => ({ id, inFlight: Math.floor(random() * 5) }))
    draws.length = 0
    const picked = pick(candidates)
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
    t.is(pick([{ inFlight: 3 }, { inFlight: 2 }]).inFlight, 2)
    t.is(pick([{ inFlight: 2 }, { inFlight: 3 }]).inFlight, 2)
  }
})

test('the only instance is picked without drawing', (t) => {
  const pick = p2c.create(() => t.fail('drew') as never)
  const only = { inFlight: 9 }
  t.is(pick([only]), only)
})

test('instances that are equally busy get equal shares', (t) => {
  const pick = p2c.create(seeded(3))
  const candidates = [0, 1, 2, 3, 4].map((id) => ({ id, inFlight: 0 }))
  const counts = [0, 0, 0, 0, 0]
  for (let i = 0; i < 50_000; i += 1) counts[pick(candidates).id]! += 1
  for (const count of counts) t.true(Math.abs(count - 10_000) < 500, `${counts}`)
})

test('requests that pile up are spread: no instance has many more in flight than another', (t) => {
  const random = seeded(4)
  const pick = p2c.create(random)
  const houses = Array.from({ length: 10 }, () => ({ inFlight: 0 }))
  for (let i = 0; i < 5000; i += 1) pick(houses).inFlight += 1
  const loads = houses.map((house) => house.inFlight)
  t.true(Math.max(...loads) - Math.min(...loads) <= 10, `${loads}`)
})

test('the ends of the random range are safe', (t) => {
  for (const value of [0, 1 - Number.EPSILON]) {
    for (let count = 1; count <= 5; count += 1) {
      const candidates = Array.from({ length: count }, () => ({ inFlight: 0 }))
      t.true(candidates.includes(p2c.create(() => value)(candidates)))
    }
  }
})
