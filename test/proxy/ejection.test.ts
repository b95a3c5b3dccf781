import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { codeOf, request } from '../support/request.ts'
import { deadOrigin, httpUpstream, rawUpstream, scriptedUpstream } from '../support/upstream.ts'

const inTurn = { balance: 'round-robin' }

test('with one of three instances dead, 200 requests have no failure that a client could see', async (t) => {
  const first = await httpUpstream(t, (_request, response) => response.end('ok'))
  const second = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url } = await startGatewayFor(t, [first.origin, await deadOrigin(), second.origin])
  const statuses = new Set<number>()
  for (let round = 0; round < 10; round += 1) {
    const method = round % 2 === 0 ? 'GET' : 'POST'
    const replies = await Promise.all(
      Array.from({ length: 20 }, () =>
        request(`${url}/api/house`, method === 'GET' ? {} : { method, body: 'x' }),
      ),
    )
    for (const reply of replies) statuses.add(reply.status)
  }
  t.deepEqual([...statuses], [200])
})

test('an instance that failed five times in a row gets no more connections', async (t) => {
  const good = await httpUpstream(t, (_request, response) => response.end('ok'))
  const bad = await rawUpstream(t, (socket) => socket.resetAndDestroy())
  const { url, lines } = await startGatewayFor(t, [good.origin, bad.origin], inTurn)
  for (let i = 0; i < 40; i += 1) t.is((await request(`${url}/api/house`)).status, 200)
  t.is(bad.connections.total, 5)
  t.is(lines.filter(({ message }) => message.includes('ejected for 30 s')).length, 1)
})

test('a reply of any status is no failure: an instance that answers 500 is not ejected', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.writeHead(500).end())
  const other = await httpUpstream(t, (_request, response) => response.end())
  const { url, lines } = await startGatewayFor(t, [house.origin, other.origin], inTurn)
  const statuses: number[] = []
  for (let i = 0; i < 20; i += 1) statuses.push((await request(`${url}/api/house`)).status)
  t.is(statuses.filter((status) => status === 500).length, 10)
  t.deepEqual(lines, [])
})

test('a request that the client gave up does not count against the instance', async (t) => {
  const house = await scriptedUpstream(t, () => {})
  const other = await httpUpstream(t, (_request, response) => response.end())
  const { url, lines, access } = await startGatewayFor(t, [house.origin, other.origin], inTurn)
  for (let i = 0; i < 12; i += 1) {
    await fetch(`${url}/api/house`, { signal: AbortSignal.timeout(100) }).catch(() => {})
  }
  t.true(access.filter((entry) => entry.status === 499).length >= 5)
  t.deepEqual(lines, [])
})

test('the only instance of a service is never ejected', async (t) => {
  const origin = await deadOrigin()
  const { url, lines } = await startGatewayFor(t, origin)
  for (let i = 0; i < 7; i += 1) t.is(codeOf(await request(`${url}/api/house`)), 'upstream_refused')
  t.deepEqual(lines, [])
})

test('where more than half of a service would be ejected, all of it is used', async (t) => {
  const bad = await Promise.all(
    [1, 2].map(() => rawUpstream(t, (socket) => void socket.on('data', () => socket.resetAndDestroy()))),
  )
  const good = await httpUpstream(t, (_request, response) => response.end())
  const { url } = await startGatewayFor(t, [...bad.map((house) => house.origin), good.origin], {
    ...inTurn,
    retries: 2,
  })
  for (let i = 0; i < 60; i += 1) t.is((await request(`${url}/api/house`)).status, 200)
  t.true(bad.every((house) => house.connections.total > 5))
})
