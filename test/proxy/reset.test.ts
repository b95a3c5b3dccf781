import type { Socket } from 'node:net'
import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { codeOf, request } from '../support/request.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'

const inTurn = { balance: 'round-robin' }
const reset = (socket: Socket) => void socket.resetAndDestroy()

test('a GET whose connection is reset before an answer is sent to another instance', async (t) => {
  const bad = await scriptedUpstream(t, reset)
  const good = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url } = await startGatewayFor(t, [bad.origin, good.origin], inTurn)
  for (let i = 0; i < 4; i += 1) t.is((await request(`${url}/api/house`)).body, 'ok')
  t.is(bad.requests.length, 2)
})

test('a GET whose connection is closed before an answer is sent to another instance', async (t) => {
  const bad = await scriptedUpstream(t, (socket) => void socket.end())
  const good = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url } = await startGatewayFor(t, [bad.origin, good.origin], inTurn)
  for (let i = 0; i < 4; i += 1) t.is((await request(`${url}/api/house`)).body, 'ok')
  t.is(bad.requests.length, 2)
})

for (const method of ['HEAD', 'OPTIONS', 'DELETE']) {
  test(`${method} without a body is sent again after a reset`, async (t) => {
    const bad = await scriptedUpstream(t, reset)
    const good = await httpUpstream(t, (_request, response) => response.end())
    const { url } = await startGatewayFor(t, [bad.origin, good.origin], inTurn)
    for (let i = 0; i < 2; i += 1) t.is((await request(`${url}/api/house`, { method })).status, 200)
    t.is(bad.requests.length, 1)
  })
}

for (const method of ['POST', 'PATCH']) {
  test(`${method} is never sent twice: after a reset the caller gets 502 upstream_reset`, async (t) => {
    const houses = [await scriptedUpstream(t, reset), await scriptedUpstream(t, reset)]
    const { url } = await startGatewayFor(
      t,
      houses.map((house) => house.origin),
      { ...inTurn, retries: 3 },
    )
    for (const body of [undefined, 'a body']) {
      const before = houses[0]!.requests.length + houses[1]!.requests.length
      const reply = await request(`${url}/api/house`, { method, ...(body !== undefined && { body }) })
      t.is(reply.status, 502)
      t.is(codeOf(reply), 'upstream_reset')
      t.is(houses[0]!.requests.length + houses[1]!.requests.length, before + 1)
    }
  })
}

test('a PUT whose body was begun is not sent twice', async (t) => {
  const houses = [await scriptedUpstream(t, reset), await scriptedUpstream(t, reset)]
  const { url } = await startGatewayFor(
    t,
    houses.map((house) => house.origin),
    inTurn,
  )
  const reply = await request(`${url}/api/house`, { method: 'PUT', body: 'a body' })
  t.is(codeOf(reply), 'upstream_reset')
  t.is(houses[0]!.requests.length + houses[1]!.requests.length, 1)
})

test('`retries: 0` means one attempt', async (t) => {
  const houses = [await scriptedUpstream(t, reset), await scriptedUpstream(t, reset)]
  const { url } = await startGatewayFor(
    t,
    houses.map((house) => house.origin),
    { ...inTurn, retries: 0 },
  )
  t.is(codeOf(await request(`${url}/api/house`)), 'upstream_reset')
  t.is(houses[0]!.requests.length + houses[1]!.requests.length, 1)
})

test('a GET is sent as often as `retries` says and no oftener', async (t) => {
  const house = await scriptedUpstream(t, reset)
  const { url, access } = await startGatewayFor(t, house.origin, { retries: 2 })
  t.is(codeOf(await request(`${url}/api/house`)), 'upstream_reset')
  t.is(house.requests.length, 3)
  t.is(access[0]?.attempts, 3)
})

test('an attempt that was refused is not counted as a retry: nothing was sent', async (t) => {
  const bad = await scriptedUpstream(t, reset)
  const good = await httpUpstream(t, (_request, response) => response.end('ok'))
  const origins = [await deadOrigin(), bad.origin, good.origin]
  for (const balance of ['round-robin', 'p2c']) {
    const { url, access } = await startGatewayFor(t, origins, { balance, retries: 1 })
    for (let i = 0; i < 4; i += 1) t.is((await request(`${url}/api/house`)).body, 'ok')
    t.true(access.every((entry) => (entry.attempts ?? 0) <= 3))
  }
})

test('a GET that meets a reset on a connection that was used before is answered on a new one', async (t) => {
  let count = 0
  const house = await scriptedUpstream(t, (socket) => {
    count += 1
    if (count === 2) reset(socket)
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const { url } = await startGatewayFor(t, house.origin)
  for (let i = 0; i < 2; i += 1) t.is((await request(`${url}/api/house`)).body, 'ok')
  t.is(house.requests.length, 3)
  t.is(house.connections.total, 2)
})

test('a POST that meets a reset on a connection that was used before is answered 502 and not repeated', async (t) => {
  let count = 0
  const house = await scriptedUpstream(t, (socket) => {
    count += 1
    if (count === 2) reset(socket)
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const { url } = await startGatewayFor(t, house.origin)
  t.is((await request(`${url}/api/house`)).status, 200)
  t.is(codeOf(await request(`${url}/api/house`, { method: 'POST', body: 'x' })), 'upstream_reset')
  t.is(house.requests.length, 2)
})

test('a connection that the house closed while it was idle costs no request', async (t) => {
  const house = await scriptedUpstream(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    setImmediate(() => socket.end())
  })
  const { url, access } = await startGatewayFor(t, house.origin)
  for (let i = 0; i < 20; i += 1) {
    const reply = await request(`${url}/api/house`, { method: 'POST', body: 'x' })
    t.is(reply.status, 200)
    // The house's FIN has arrived before the next request is sent.
    while (house.connections.open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.true(access.every((entry) => entry.attempts === 1))
})
