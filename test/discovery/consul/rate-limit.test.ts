import test from 'ava'
import { createRateLimit } from '../../../src/discovery/consul/rate-limit.ts'

const never = new AbortController().signal

test('a burst passes at once and the next waits for its token', async (t) => {
  const allowed = createRateLimit({ burst: 2, intervalMs: 100 })
  const startedAt = performance.now()
  await allowed(never)
  await allowed(never)
  t.true(performance.now() - startedAt < 90)
  await allowed(never)
  t.true(performance.now() - startedAt >= 90)
})

test('a quiet time fills the bucket to its brim and no further', async (t) => {
  let now = 0
  const allowed = createRateLimit({ burst: 2, intervalMs: 1000, now: () => now })
  now = 60_000
  await allowed(never)
  await allowed(never)
  const controller = new AbortController()
  const third = allowed(controller.signal)
  controller.abort()
  await t.throwsAsync(third, { name: 'AbortError' })
})
