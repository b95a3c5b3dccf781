import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { calmTest as test } from '../support/calm.ts'
import { atMost } from '../support/figures.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream, rawUpstream, scriptedUpstream } from '../support/upstream.ts'

test.serial(
  'silence of the house is answered 504 at the deadline of the route, at most a tenth late',
  async (t) => {
    const house = await scriptedUpstream(t, (socket, head) => {
      if (head.includes('/warm-up')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
    const { url } = await startGatewayFor(t, house.origin, { timeout: '1s' })
    await request(`${url}/api/house/warm-up`)
    // On a busy machine every timer is late at times: the best of them shows how exact this one is.
    const times: number[] = []
    for (let i = 0; i < 3 && !times.some((ms) => ms <= 1100); i += 1) {
      const startedAt = performance.now()
      const reply = await request(`${url}/api/house`)
      times.push(performance.now() - startedAt)
      t.is(reply.status, 504)
      t.is(codeOf(reply), 'upstream_timeout')
    }
    t.log(`504 after ${times.map(Math.round).join(', ')} ms`)
    t.true(Math.min(...times) >= 990, 'never early')
    t.true(Math.min(...times) <= atMost(1100), 'at most a tenth late')
  },
)

test.serial('a request that timed out is not sent again, and its connection is closed', async (t) => {
  const house = await scriptedUpstream(t, () => {})
  const { url } = await startGatewayFor(t, house.origin, { timeout: '100ms', retries: 3 })
  t.is((await request(`${url}/api/house`)).status, 504)
  t.is(house.requests.length, 1)
  await until(() => house.connections.open === 0, 'the connection is closed')
})

test.serial('a retry does not get a deadline of its own', async (t) => {
  const resets = await scriptedUpstream(t, (socket) => {
    setTimeout(() => socket.resetAndDestroy(), 300)
  })
  const { url } = await startGatewayFor(t, resets.origin, { timeout: '400ms', retries: 5 })
  const order: string[] = []
  const later = delay(1200).then(() => order.push('three times the deadline'))
  t.is((await request(`${url}/api/house`)).status, 504)
  order.push('reply')
  await later
  t.is(order[0], 'reply')
})

test.serial('the head alone is under the deadline: a body that trickles for longer is not cut', async (t) => {
  const house = await httpUpstream(t, async (_request, response) => {
    for (let i = 0; i < 8; i += 1) {
      response.write(String(i))
      await delay(80)
    }
    response.end()
  })
  const { url } = await startGatewayFor(t, house.origin, { timeout: '300ms' }, { IDLE_TIMEOUT: '1s' })
  t.is((await request(`${url}/api/house`)).body, '01234567')
})

test.serial('silence in the middle of a body cuts the client off after IDLE_TIMEOUT', async (t) => {
  const house = await httpUpstream(t, (_request, response) => void response.write('begun'))
  const { port, access } = await startGatewayFor(t, house.origin, {}, { IDLE_TIMEOUT: '300ms' })
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  const { text } = await client.ended()
  t.true(text.endsWith('\r\n\r\n5\r\nbegun\r\n'), 'no last chunk')
  await until(() => access.length === 1, 'it is in the log')
  t.is(access[0]?.errorCode, 'upstream_timeout')
  await until(() => house.connections.open === 0, 'the house is let go')
})

test.serial('an upload that the client stalls is answered 408, and the house is let go', async (t) => {
  const house = await httpUpstream(t, (incoming) => void incoming.resume())
  const { port } = await startGatewayFor(t, house.origin, {}, { IDLE_TIMEOUT: '300ms' })
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe beginning')
  const text = await client.receive('request_timeout')
  t.regex(text, /^HTTP\/1\.1 408 /)
  t.regex(text, /connection: close\r\n/i)
  await until(() => house.connections.open === 0, 'the house is let go')
})

test.serial('an upload whose body never begins is answered 408', async (t) => {
  const house = await scriptedUpstream(t, () => {})
  const { port } = await startGatewayFor(t, house.origin, {}, { IDLE_TIMEOUT: '200ms' })
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n')
  t.regex(await client.receive('request_timeout'), /^HTTP\/1\.1 408 /)
  t.deepEqual(house.requests, [])
})

test.serial('an upload that trickles for longer than the deadline is not cut', async (t) => {
  const house = await httpUpstream(t, async (incoming, response) => {
    response.end(Buffer.concat(await incoming.toArray()))
  })
  const { port } = await startGatewayFor(t, house.origin, { timeout: '200ms' }, { IDLE_TIMEOUT: '1s' })
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n')
  for (let i = 0; i < 8; i += 1) {
    client.send(String(i))
    await delay(50)
  }
  t.regex(await client.receive('01234567'), /^HTTP\/1\.1 200 /)
})

test.serial('a house that stops reading an upload is the one to blame: 504', async (t) => {
  let socket: Socket | undefined
  const house = await rawUpstream(t, (connection) => {
    socket = connection
    connection.pause()
  })
  const { port } = await startGatewayFor(t, house.origin, {}, { IDLE_TIMEOUT: '400ms' })
  const client = await rawClient(t, port)
  const size = 32 * 1024 * 1024
  client.send(`POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`)
  client.send(Buffer.alloc(size))
  t.regex(await client.receive('upstream_timeout'), /^HTTP\/1\.1 504 /)
  t.true(socket !== undefined)
})
