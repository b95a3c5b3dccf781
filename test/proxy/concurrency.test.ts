import type http from 'node:http'
import type { ExecutionContext } from 'ava'
import { calmTest as test } from '../support/calm.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { handSource, service } from '../support/hand-source.ts'
import { publishedServices } from '../support/published-services.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, keepAliveAgent, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'
import { openWebSocket, webSocketHouse } from '../support/websocket.ts'

/** A house that answers when it is told to, in any order. */
async function patientHouse(t: ExecutionContext) {
  const held: { readonly path: string; readonly incoming: http.IncomingMessage; answer(): void }[] = []
  const paths: string[] = []
  let most = 0
  let open = 0
  const house = await httpUpstream(t, (incoming, response) => {
    open += 1
    most = Math.max(most, open)
    paths.push(incoming.url ?? '')
    incoming.resume()
    const release = () => {
      const at = held.findIndex((one) => one.incoming === incoming)
      if (at >= 0) held.splice(at, 1)
    }
    response.on('close', () => {
      open -= 1
      release()
    })
    const answer = () => {
      release()
      response.end(incoming.url)
    }
    held.push({ path: incoming.url ?? '', incoming, answer })
  })
  return { ...house, held, paths, most: () => most }
}

const one = { concurrency: 1, 'queue-timeout': '20s', timeout: '30s' }

test('an instance gets no more requests at a time than `concurrency`; the others are served as they came', async (t) => {
  const house = await patientHouse(t)
  const { url } = await startGatewayFor(t, house.origin, one)
  const replies: Promise<unknown>[] = []
  for (let i = 0; i < 6; i += 1) {
    replies.push(request(`${url}/api/house/${i}`, i % 2 === 0 ? {} : { method: 'POST', body: 'x' }))
    await until(() => house.paths.length === 1, 'the first is at the house')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (let i = 0; i < 6; i += 1) {
    await until(() => house.held.length === 1, 'the next is at the house')
    house.held[0]!.answer()
  }
  t.deepEqual(
    (await Promise.all(replies)).map((reply) => (reply as { body: string }).body),
    ['/0', '/1', '/2', '/3', '/4', '/5'],
  )
  t.deepEqual(house.paths, ['/0', '/1', '/2', '/3', '/4', '/5'], 'each of them once')
  t.is(house.most(), 1)
})

test('each instance has its own limit', async (t) => {
  const houses = [await patientHouse(t), await patientHouse(t)]
  const { url } = await startGatewayFor(
    t,
    houses.map(({ origin }) => origin),
    { ...one, concurrency: 2 },
  )
  const replies = Array.from({ length: 6 }, () => request(`${url}/api/house`))
  await until(() => houses.every(({ held }) => held.length === 2), 'both are full')
  let answered = 0
  while (answered < 6) {
    await until(() => houses.some(({ held }) => held.length > 0), 'somebody is at a house')
    for (const { held } of houses) {
      const [next] = held
      if (next === undefined) continue
      next.answer()
      answered += 1
    }
  }
  t.true((await Promise.all(replies)).every(({ status }) => status === 200))
  t.deepEqual(
    houses.map(({ most }) => most()),
    [2, 2],
  )
})

test('more than `queue` do not wait: 503 overloaded with Retry-After', async (t) => {
  const house = await patientHouse(t)
  const { url, access, lines } = await startGatewayFor(t, house.origin, { ...one, queue: 1 })
  const first = request(`${url}/api/house/first`)
  await until(() => house.held.length === 1, 'the first is at the house')
  // Whichever of the two comes first waits.
  const others = [request(`${url}/api/house/other`), request(`${url}/api/house/other`)]
  const turnedAway = await Promise.race(others)
  t.is(turnedAway.status, 503)
  t.is(codeOf(turnedAway), 'overloaded')
  t.is(turnedAway.headers['retry-after'], '1')
  t.like(access[0], { status: 503, errorCode: 'overloaded', service: 'house', attempts: 0 })
  house.held[0]!.answer()
  await until(() => house.held[0]?.path === '/other', 'the one who waited is at the house')
  house.held[0]!.answer()
  t.is((await first).status, 200)
  t.deepEqual((await Promise.all(others)).map(({ status }) => status).sort(), [200, 503])
  t.deepEqual(lines, [], 'nobody is ejected for being busy')
})

test('`queue: 0` has nobody wait', async (t) => {
  const house = await patientHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { ...one, queue: 0 })
  const first = request(`${url}/api/house`)
  await until(() => house.held.length === 1, 'the first is at the house')
  t.is(codeOf(await request(`${url}/api/house`)), 'overloaded')
  house.held[0]!.answer()
  t.is((await first).status, 200)
})

test('nobody waits longer than `queue-timeout`', async (t) => {
  const house = await patientHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { ...one, 'queue-timeout': '200ms' })
  const first = request(`${url}/api/house`)
  await until(() => house.held.length === 1, 'the first is at the house')
  for (const method of ['GET', 'POST']) {
    const startedAt = performance.now()
    const reply = await request(`${url}/api/house`, { method, ...(method === 'POST' && { body: 'x' }) })
    t.is(codeOf(reply), 'overloaded')
    t.true(performance.now() - startedAt >= 195)
  }
  house.held[0]!.answer()
  t.is((await first).status, 200)
  t.is(house.paths.length, 1)
})

test('waiting counts against the deadline', async (t) => {
  const house = await patientHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { ...one, timeout: '400ms' })
  const first = request(`${url}/api/house`)
  await until(() => house.held.length === 1, 'the first is at the house')
  const replies = await Promise.all([
    request(`${url}/api/house`),
    request(`${url}/api/house`, { method: 'POST', body: 'x' }),
  ])
  // The first's own deadline passes about then; who is let in by that has hardly any time left.
  for (const reply of [...replies, await first]) t.true([503, 504].includes(reply.status))
})

test('who waited is told what is left of the time', async (t) => {
  const house = await patientHouse(t)
  const { url } = await startGatewayFor(t, house.origin, one)
  for (const method of ['GET', 'POST']) {
    const first = request(`${url}/api/house`)
    await until(() => house.held.length === 1, 'the first is at the house')
    const second = request(`${url}/api/house/second`, { method, ...(method === 'POST' && { body: 'x' }) })
    await new Promise((resolve) => setTimeout(resolve, 150))
    house.held[0]!.answer()
    await until(() => house.held[0]?.path === '/second', 'the second is at the house')
    const left = Number(house.held[0]!.incoming.headers['x-request-timeout-ms'])
    t.true(left > 0 && left < 30_000, `${left}`)
    house.held[0]!.answer()
    await Promise.all([first, second])
  }
})

test('a client that leaves is taken out of the queue', async (t) => {
  const house = await patientHouse(t)
  const { url, port, access } = await startGatewayFor(t, house.origin, { ...one, queue: 1 })
  const first = request(`${url}/api/house/first`)
  await until(() => house.held.length === 1, 'the first is at the house')
  for (const start of ['GET /api/house/left HTTP/1.1\r\nHost: x\r\n\r\n', upload('left')]) {
    const before = access.length
    const leaving = await rawClient(t, port)
    leaving.send(start)
    await until(async () => codeOf(await request(`${url}/api/house`)) === 'overloaded', 'it waits')
    leaving.socket.destroy()
    await until(() => access.slice(before).some(({ status }) => status === 499), 'it has left')
  }
  const last = request(`${url}/api/house/last`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  house.held[0]!.answer()
  await until(() => house.held[0]?.path === '/last', 'the last is at the house')
  house.held[0]!.answer()
  t.deepEqual(
    (await Promise.all([first, last])).map(({ body }) => body),
    ['/first', '/last'],
  )
  t.deepEqual(house.paths, ['/first', '/last'])
})

const upload = (name: string) => `POST /api/house/${name} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`

test('a client that leaves gives its place at the house back', async (t) => {
  const house = await patientHouse(t)
  const { url, port } = await startGatewayFor(t, house.origin, one)
  const leaving = await rawClient(t, port)
  leaving.send('GET /api/house/left HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => house.held.length === 1, 'it is at the house')
  const second = request(`${url}/api/house/second`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  leaving.socket.destroy()
  await until(() => house.held[0]?.path === '/second', 'the second is at the house')
  house.held[0]!.answer()
  t.is((await second).status, 200)
})

test('whatever becomes of a request, its place is free again', async (t) => {
  let count = 0
  const house = await scriptedUpstream(t, (socket) => {
    count += 1
    if (count % 3 === 0) socket.resetAndDestroy()
    else if (count % 3 === 1) socket.write('HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n')
    else socket.write('HTTP/1.1 000 \r\n\r\n')
  })
  const { url } = await startGatewayFor(t, house.origin, { ...one, queue: 0 })
  for (let i = 0; i < 12; i += 1) {
    const reply = await request(`${url}/api/house`, i % 2 === 0 ? {} : { method: 'POST', body: 'x' })
    t.not(reply.status, 503)
  }
})

test('instances that appear take those who wait; when all are gone they are told so', async (t) => {
  const [house, other] = [await patientHouse(t), await patientHouse(t)]
  const services = publishedServices([house.origin], { openapi: false, ...limitOf(one) })
  const { url } = await startGateway(t, { services, env: { DISCOVERY_HOLD: '0s' } })
  const first = request(`${url}/api/house/first`)
  await until(() => house.held.length === 1, 'the first is at the house')
  const second = request(`${url}/api/house/second`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  services.publish([house.origin, other.origin])
  await until(() => other.held[0]?.path === '/second', 'the second is at the new house')
  const third = request(`${url}/api/house/third`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  services.publish([])
  t.is(codeOf(await third), 'no_instance')
  house.held[0]!.answer()
  other.held[0]!.answer()
  t.deepEqual([(await first).status, (await second).status], [200, 200])
})

function limitOf({ concurrency }: typeof one) {
  return { concurrency, 'queue-timeout': 20_000, timeout: 30_000 }
}

test('an instance whose ejection ends takes those who wait', async (t) => {
  const busy = await patientHouse(t)
  const broken = await scriptedUpstream(t, (socket, _head, count) => {
    if (count === 1) socket.resetAndDestroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback')
  })
  const ejection = { 'eject-after': 1, 'eject-time': '500ms', balance: 'round-robin' }
  const { url } = await startGatewayFor(t, [busy.origin, broken.origin], { ...one, ...ejection })
  const replies = [request(`${url}/api/house`)]
  await until(() => busy.held.length === 1, 'one is busy')
  // Whichever of the two has met the broken one, the other instance is all that is left for this.
  replies.push(request(`${url}/api/house`))
  const served = await Promise.race([
    ...replies,
    new Promise<undefined>((resolve) => setTimeout(resolve, 10_000)),
  ])
  t.is(served?.body, 'back')
  busy.held[0]!.answer()
  t.deepEqual(
    (await Promise.all(replies)).map(({ status }) => status),
    [200, 200],
  )
})

test('a `queue-timeout` that is made shorter is so for those who wait already', async (t) => {
  const house = await patientHouse(t)
  const source = handSource()
  const begun = source.started()
  const starting = startGateway(t, { services: source })
  const publish = (queueTimeoutMs: number) =>
    source.publish([
      service('house', [house.origin], { openapi: false, ...limitOf(one), 'queue-timeout': queueTimeoutMs }),
    ])
  await begun
  publish(20_000)
  const { url } = await starting
  const first = request(`${url}/api/house`)
  await until(() => house.held.length === 1, 'the first is at the house')
  const second = request(`${url}/api/house`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  publish(100)
  t.is(codeOf(await second), 'overloaded')
  house.held[0]!.answer()
  t.is((await first).status, 200)
})

test('while the gateway drains, who waits is still served', async (t) => {
  const house = await patientHouse(t)
  const { url, gateway } = await startGatewayFor(t, house.origin, one, { DRAIN_TIMEOUT: '20s' })
  const agent = keepAliveAgent(t)
  const first = request(`${url}/api/house/first`)
  await until(() => house.held.length === 1, 'the first is at the house')
  const second = request(`${url}/api/house/second`, { agent })
  await new Promise((resolve) => setTimeout(resolve, 50))
  const stopped = gateway.stop()
  await new Promise((resolve) => setTimeout(resolve, 50))
  house.held[0]!.answer()
  await until(() => house.held[0]?.path === '/second', 'the second is at the house')
  house.held[0]!.answer()
  t.deepEqual([(await first).status, (await second).status], [200, 200])
  await stopped
})

test('an open WebSocket takes no place, its handshake does', async (t) => {
  const house = await webSocketHouse(t)
  const { url } = await startGatewayFor(t, house.origin, { ...one, queue: 0, strip: '' })
  for (let i = 0; i < 3; i += 1) await openWebSocket(t, `${url}/api/house`)
  const slow = await patientHouse(t)
  const other = await startGatewayFor(t, slow.origin, one)
  const first = request(`${other.url}/api/house`)
  await until(() => slow.held.length === 1, 'the first is at the house')
  const client = await rawClient(t, other.port)
  client.send(webSocketHandshake)
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.is(slow.paths.length, 1)
  slow.held[0]!.answer()
  await first
  await until(() => slow.paths.length === 2, 'the handshake is at the house')
  slow.held[0]?.answer()
  await client.ended()
})

test('a WebSocket whose deadline passes while it waits is told that everybody is busy', async (t) => {
  // What has been begun has no deadline, and keeps its place.
  const house = await httpUpstream(t, (_incoming, response) => void response.writeHead(200).write('begun'))
  const { url, port, access } = await startGatewayFor(t, house.origin, { ...one, timeout: '500ms' })
  const first = await fetch(`${url}/api/house`)
  const client = await rawClient(t, port)
  client.send(webSocketHandshake)
  await client.receive('"code":"overloaded"')
  t.like(access[0], { status: 503, errorCode: 'overloaded', attempts: 0 })
  await first.body?.cancel()
})

const webSocketHandshake =
  'GET /api/house/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
