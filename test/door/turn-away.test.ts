import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { createCors } from '../../src/door/cors.ts'
import { createSecureReply } from '../../src/door/security-headers.ts'
import { createDoorServer } from '../../src/door/server.ts'
import { createTurnAway, type TurnAwayOptions } from '../../src/door/turn-away.ts'
import { calmTest as test } from '../support/calm.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, keepAliveAgent, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { DeclinedError, openWebSocket } from '../support/websocket.ts'

/** A door that has no time for anybody. */
async function fullDoor(t: ExecutionContext, options: Partial<TurnAwayOptions> = {}) {
  const server = createDoorServer({
    turnAway: createTurnAway({
      overload: { turnsAway: () => true },
      cors: undefined,
      secureReply: createSecureReply({ publicUrl: 'https://a.example' }),
      draining: () => false,
      ...options,
    }),
    onRequest: (_request, response) => response.end('let in'),
    onWebSocket: (_request, socket) => void socket.destroy(),
    onUnparsable: () => {},
  })
  const { port } = await server.listen(0, '127.0.0.1')
  t.teardown(() => server.close(AbortSignal.abort()))
  return { port, url: `http://127.0.0.1:${port}` }
}

test('a request is answered 503 overloaded with Retry-After, as a problem like any other', async (t) => {
  const { url } = await fullDoor(t)
  const reply = await request(url, { headers: { 'X-Request-Id': 'one-request' } })
  t.is(reply.status, 503)
  t.like(JSON.parse(reply.body), { code: 'overloaded', status: 503, request_id: 'one-request' })
  t.like(reply.headers, {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'retry-after': '1',
    'x-request-id': 'one-request',
    'x-content-type-options': 'nosniff',
  })
  t.truthy(reply.headers['strict-transport-security'])
})

test('the connection is kept, also behind a small body', async (t) => {
  const { url } = await fullDoor(t)
  const agent = keepAliveAgent(t)
  const body = 'x'.repeat(10_000)
  for (const options of [{}, { method: 'POST', body }, {}]) {
    const reply = await request(url, { agent, ...options })
    t.is(reply.status, 503)
    t.not(reply.headers.connection, 'close')
  }
  t.is(Object.values(agent.freeSockets).flat().length, 1)
})

test('of a large body, or one of unknown length, nothing more is read: the connection is closed', async (t) => {
  const { port } = await fullDoor(t)
  for (const head of ['Content-Length: 100000000', 'Transfer-Encoding: chunked']) {
    const client = await rawClient(t, port)
    client.send(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`)
    const text = await client.receive('\r\n\r\n')
    t.regex(text, /^HTTP\/1\.1 503 /)
    t.regex(text, /^connection: close$/im)
    client.socket.end()
    t.false((await client.ended()).reset)
  }
})

test('a client that asks before it sends a body is not told to go on', async (t) => {
  const { port } = await fullDoor(t)
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  t.regex(await client.receive('\r\n\r\n'), /^HTTP\/1\.1 503 /)
})

test('a front end on another host may read that it is overloaded', async (t) => {
  const { url } = await fullDoor(t, { cors: createCors({ origins: ['https://app.example'] }) })
  const listed = await request(url, { headers: { Origin: 'https://app.example' } })
  t.like(listed.headers, { 'access-control-allow-origin': 'https://app.example', vary: 'Origin' })
  const other = await request(url, { headers: { Origin: 'https://evil.example' } })
  t.is(other.headers['access-control-allow-origin'], undefined)
})

test('a gateway that drains closes the connection', async (t) => {
  const { url } = await fullDoor(t, { draining: () => true })
  t.is((await request(url, { agent: keepAliveAgent(t) })).headers.connection, 'close')
})

test('a gateway whose event loop is late turns requests and WebSockets away, and no probe', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('ok'))
  const { url, lines, access } = await startGatewayFor(t, house.origin, {}, { OVERLOAD_DELAY: '1ms' })
  let busy = true
  t.teardown(() => {
    busy = false
  })
  const work = async () => {
    while (busy) {
      const end = performance.now() + 10
      while (performance.now() < end);
      await delay(0)
    }
  }
  void work()
  await until(async () => {
    const reply = await request(`${url}/api/house`)
    return reply.status === 503 && codeOf(reply) === 'overloaded'
  }, 'a request is turned away')
  for (const path of ['/livez', '/readyz', '/admin/routes']) {
    for (let i = 0; i < 10; i++) t.is((await request(url + path)).status, 200, path)
  }
  await until(async () => {
    const opened = await openWebSocket(t, `${url}/api/house`).catch((error: unknown) => error)
    return opened instanceof DeclinedError && opened.response.headers['retry-after'] === '1'
  }, 'a WebSocket is turned away')
  t.false(access.some(({ errorCode }) => errorCode === 'overloaded'))
  t.is(lines.filter(({ message }) => message.startsWith('overloaded: ')).length, 1)
})
