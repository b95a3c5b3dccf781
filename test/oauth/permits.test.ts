import test from 'ava'
import { createPermits, createShares } from '../../src/oauth/vault/permits.ts'

const late = () => new Error('too late')

test('so many run at once, and the others in the order they came', async (t) => {
  const permits = createPermits(2, 60_000, late)
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  const begun: number[] = []
  const all = gates.map(({ promise }, n) =>
    permits(() => {
      begun.push(n)
      return promise
    }),
  )
  await Promise.resolve()
  t.deepEqual(begun, [0, 1])
  gates[1]!.resolve()
  await all[1]
  t.deepEqual(begun, [0, 1, 2])
  for (const { resolve } of gates) resolve()
  await Promise.all(all)
  t.deepEqual(begun, [0, 1, 2, 3])
})

test("who waits for too long is told, and takes nobody's place", async (t) => {
  const permits = createPermits(1, 20, late)
  const gate = Promise.withResolvers<void>()
  const first = permits(() => gate.promise)
  await t.throwsAsync(
    permits(() => Promise.resolve()),
    { message: 'too late' },
  )
  gate.resolve()
  await first
  t.is(await permits(() => Promise.resolve('ran')), 'ran')
})

test('work that fails gives its permit back', async (t) => {
  const permits = createPermits(1, 1000, late)
  await t.throwsAsync(
    permits(() => Promise.reject(new Error('no'))),
    { message: 'no' },
  )
  t.is(await permits(() => Promise.resolve('ran')), 'ran')
})

test('of several providers each has half of the permits at the most', async (t) => {
  const shareOf = createShares(['a', 'b'], 2, 60_000, late)
  const gate = Promise.withResolvers<void>()
  const first = shareOf('a')(() => gate.promise)
  let isAsked = false
  const second = shareOf('a')(async () => {
    isAsked = true
  })
  t.is(await shareOf('b')(() => Promise.resolve('ran')), 'ran')
  t.is(await shareOf('unknown')(() => Promise.resolve('ran')), 'ran')
  t.false(isAsked)
  gate.resolve()
  await Promise.all([first, second])
})
