import test from 'ava'
import { createRequestCounts, durationBounds } from '../../src/observability/request-counts.ts'

/** One request, from beginning to end. */
function countsAt(now: () => number = () => 0) {
  const counts = createRequestCounts(now)
  return {
    ...counts,
    one(...given: Parameters<typeof counts.count>) {
      counts.begin()
      counts.count(...given)
    },
  }
}

test('requests are counted by route, service, method and status', (t) => {
  const { one, read } = countsAt()
  one('/api/users', 'auth', 'GET', 200, 0.1)
  one('/api/users', 'auth', 'GET', 200, 0.1)
  one('/api/users', 'auth', 'POST', 201, 0.1)
  one('/api/users', 'canary', 'GET', 200, 0.1)
  one('/livez', undefined, 'GET', 200, 0.1)
  const told = read().map(({ route, service, requests }) => [
    ...[route, service],
    ...requests.map(({ method, status, count }) => `${method} ${status}: ${count}`),
  ])
  t.deepEqual(told, [
    ['/api/users', 'auth', 'GET 200: 2', 'POST 201: 1'],
    ['/api/users', 'canary', 'GET 200: 1'],
    ['/livez', undefined, 'GET 200: 1'],
  ])
})

test('methods that HTTP does not name are counted as one', (t) => {
  const { one, read } = countsAt()
  for (const method of ['BREW', 'PROPFIND', '-', 'get']) one('/x', 'x', method, 405, 0)
  t.deepEqual(read()[0]!.requests, [{ method: '_OTHER', status: 405, count: 4 }])
})

test('a duration is in the first bucket whose bound it does not exceed', (t) => {
  const { one, read } = countsAt()
  for (const seconds of [0, 0.005, 0.0051, 10, 10.001, 3600]) one('/x', 'x', 'GET', 200, seconds)
  const { buckets, sum, count } = read()[0]!.durations
  t.is(buckets.length, durationBounds.length + 1)
  t.deepEqual([buckets[0], buckets[1], buckets[13], buckets[14]], [2, 1, 1, 2])
  t.is(count, 6)
  t.true(Math.abs(sum - (0.005 + 0.0051 + 10 + 10.001 + 3600)) < 1e-9)
})

test('how long a WebSocket was open is no duration of a request', (t) => {
  const { one, read } = countsAt()
  one('/x', 'x', 'GET', 101, 3600)
  const [{ requests, durations }] = read() as [ReturnType<typeof read>[number]]
  t.deepEqual(requests, [{ method: 'GET', status: 101, count: 1 }])
  t.is(durations.count, 0)
})

test('a request is active from its beginning to its end', (t) => {
  const { begin, count, active } = countsAt()
  begin()
  begin()
  t.is(active(), 2)
  count('/x', 'x', 'GET', 200, 1)
  t.is(active(), 1)
})

test('what leaves the table is told for five minutes, and then forgotten', (t) => {
  let now = 0
  const { one, read, retain } = countsAt(() => now)
  const routes = [{ prefix: '/a', service: 'a', canary: { route: { prefix: '/a', service: 'b' } } }]
  retain(routes)
  one('/a', 'a', 'GET', 200, 0)
  one('/a', 'b', 'GET', 200, 0)
  one('/livez', undefined, 'GET', 200, 0)
  now = 600_000
  t.is(read().length, 3)
  retain([{ prefix: '/a', service: 'b' }])
  now += 299_000
  t.deepEqual(
    read().map(({ service }) => service),
    ['a', 'b', undefined],
  )
  now += 1000
  t.deepEqual(
    read().map(({ service }) => service),
    ['b', undefined],
  )
})

test('a route that comes back in time goes on with what it had', (t) => {
  let now = 0
  const { one, read, retain } = countsAt(() => now)
  const routes = [{ prefix: '/a', service: 'a' }]
  retain(routes)
  one('/a', 'a', 'GET', 200, 0)
  retain([])
  now = 200_000
  retain(routes)
  now = 900_000
  one('/a', 'a', 'GET', 200, 0)
  t.is(read()[0]!.requests[0]!.count, 2)
})

test('the last request of a route that has left already is forgotten as well', (t) => {
  let now = 0
  const { one, read, retain } = countsAt(() => now)
  for (let deployment = 0; deployment < 100; deployment += 1) {
    const routes = [{ prefix: `/v${deployment}`, service: 'a' }]
    retain(routes)
    one(`/v${deployment}`, 'a', 'GET', 200, 0)
    now += 600_000
    retain([])
    one(`/v${deployment}`, 'a', 'GET', 200, 0)
    now += 600_000
  }
  // Nobody has read meanwhile.
  retain([])
  t.is(read().length, 0)
})
