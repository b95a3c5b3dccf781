import { createRetryBudget } from '../../src/proxy/retry-budget.ts'
import { calmTest as test } from '../support/calm.ts'
import { atMost } from '../support/figures.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { codeOf, request } from '../support/request.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'

/** How many of so many wishes are granted. */
function granted(budget: ReturnType<typeof createRetryBudget>, percent: number, wishes = 1000): number {
  let count = 0
  for (let i = 0; i < wishes; i += 1) if (budget.take(percent)) count += 1
  return count
}

test('a service that is hardly asked has three retries a second, over ten seconds', (t) => {
  t.is(
    granted(
      createRetryBudget(() => 0),
      20,
    ),
    30,
  )
  t.is(
    granted(
      createRetryBudget(() => 0),
      0,
    ),
    30,
  )
})

test('a service that is asked much has its share of the requests, and no more on top', (t) => {
  const budget = createRetryBudget(() => 0)
  for (let i = 0; i < 1000; i += 1) budget.count()
  t.is(granted(budget, 20), 200)
  t.is(granted(budget, 20), 0)
})

test('what is older than ten seconds is forgotten, a second at a time', (t) => {
  let now = 500
  const budget = createRetryBudget(() => now)
  for (let i = 0; i < 1000; i += 1) budget.count()
  t.is(granted(budget, 20), 200)
  now = 9999
  t.is(granted(budget, 20), 0)
  now = 10_000
  t.is(granted(budget, 20), 30, 'the requests are forgotten with the retries')
  now = 15_000
  for (let i = 0; i < 500; i += 1) budget.count()
  t.is(granted(budget, 20), 70)
  now = 20_000
  t.is(granted(budget, 20), 30, 'the thirty of ten seconds ago are free again')
  now = 1_000_000
  t.is(granted(budget, 20), 30, 'however long nobody asked')
})

test('a house that resets everything under load gets a fifth more, not twice as much', async (t) => {
  const house = await scriptedUpstream(t, (socket) => void socket.resetAndDestroy())
  const { url, access } = await startGatewayFor(t, house.origin, { retries: 3 })
  const startedAt = performance.now()
  const count = 600
  for (let sent = 0; sent < count; sent += 20) {
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(`${url}/api/house`)))
    for (const reply of replies) t.is(codeOf(reply), 'upstream_reset')
  }
  const seconds = (performance.now() - startedAt) / 1000
  t.log(
    `${count} requests in ${seconds.toFixed(1)} s: the house was asked ${house.requests.length} times, with retries: 3`,
  )
  // Every ten seconds that it takes, the budget begins anew.
  const windows = Math.ceil(seconds / 10)
  t.true(house.requests.length > count, 'some are retried')
  t.true(house.requests.length - count <= count * 0.2 + 30 * windows, `${house.requests.length}`)
  t.is(
    access.reduce((sum, entry) => sum + (entry.attempts ?? 0), 0),
    house.requests.length,
  )
})

test('`retry-budget` is the share of it', async (t) => {
  const house = await scriptedUpstream(t, (socket) => void socket.resetAndDestroy())
  const { url } = await startGatewayFor(t, house.origin, { 'retry-budget': '100%' })
  for (let sent = 0; sent < 60; sent += 1) await request(`${url}/api/house`)
  t.is(house.requests.length, 120)
})

test('an instance that refuses costs the budget nothing: no house is asked twice', async (t) => {
  const good = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url } = await startGatewayFor(t, [await deadOrigin(), good.origin], {
    balance: 'round-robin',
    'eject-after': 0,
    'retry-budget': 0,
  })
  for (let i = 0; i < 120; i += 1) t.is((await request(`${url}/api/house`)).body, 'ok')
})

test('the first retry is made at once, the second leaves the house a moment', async (t) => {
  const arrivals: number[] = []
  const house = await scriptedUpstream(t, (socket) => {
    arrivals.push(performance.now())
    socket.resetAndDestroy()
  })
  const { url } = await startGatewayFor(t, house.origin, { retries: 2 })
  const rounds: { readonly first: number; readonly second: number }[] = []
  for (let i = 0; i < 12; i += 1) {
    arrivals.length = 0
    await request(`${url}/api/house`)
    t.is(arrivals.length, 3)
    rounds.push({ first: arrivals[1]! - arrivals[0]!, second: arrivals[2]! - arrivals[1]! })
  }
  t.true(Math.min(...rounds.map(({ first }) => first)) < atMost(24))
  t.true(rounds.every(({ second }) => second >= 24))
  t.true(new Set(rounds.map(({ second }) => Math.round(second))).size > 1, 'each its own')
})

test('where the deadline would pass during that moment, what happened is said at once', async (t) => {
  const house = await scriptedUpstream(t, (socket, head) => {
    const left = Number(/x-request-timeout-ms: (\d+)/i.exec(head)?.[1])
    setTimeout(() => socket.resetAndDestroy(), left === 400 ? 0 : left - 15)
  })
  const { url } = await startGatewayFor(t, house.origin, { retries: 5, timeout: '400ms' })
  // On a busy machine the house is late at times, and the deadline passes first.
  const codes: string[] = []
  for (let i = 0; i < 8 && !codes.includes('upstream_reset'); i += 1) {
    codes.push(codeOf(await request(`${url}/api/house`)))
  }
  t.is(codes.at(-1), 'upstream_reset')
  t.is(house.requests.length, 2 * codes.length)
})

test('a client that leaves during that moment ends it', async (t) => {
  const house = await scriptedUpstream(t, (socket) => void socket.resetAndDestroy())
  const { url, access } = await startGatewayFor(t, house.origin, { retries: 10 })
  const controller = new AbortController()
  const reply = fetch(`${url}/api/house`, { signal: controller.signal })
  while (house.requests.length < 3) await new Promise((resolve) => setImmediate(resolve))
  controller.abort()
  await t.throwsAsync(reply)
  while (access.length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.is(access[0]?.status, 499)
  const asked = house.requests.length
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.is(house.requests.length, asked)
})
