import type { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { startGatewayFor, type TestGateway } from '../support/gateway.ts'
import { type RawClient, rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { scriptedUpstream, unresponsiveOrigin } from '../support/upstream.ts'

const leave: Readonly<Record<string, (client: RawClient) => void>> = {
  closes: (client) => void client.socket.destroy(),
  resets: (client) => void client.socket.resetAndDestroy(),
  'closes its sending half': (client) => void client.socket.end(),
}

async function isLogged(t: ExecutionContext, { access, lines }: TestGateway): Promise<void> {
  await until(() => access.length === 1, 'it is in the log')
  t.is(access[0]?.status, 499)
  t.is(access[0]?.errorCode, 'client_closed_request')
  t.deepEqual(
    lines.filter(({ level }) => level !== 'debug'),
    [],
  )
}

for (const [how, go] of Object.entries(leave)) {
  test(`a client that ${how} while the house thinks: the house is let go within a second`, async (t) => {
    const house = await scriptedUpstream(t, () => {})
    const gateway = await startGatewayFor(t, house.origin)
    const client = await rawClient(t, gateway.port)
    client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => house.requests.length === 1, 'the request has come')
    go(client)
    await until(() => house.connections.open === 0, 'the house is let go')
    await isLogged(t, gateway)
  })

  test(`a client that ${how} in the middle of a download: the house is let go within a second`, async (t) => {
    const house = await scriptedUpstream(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfirst half')
    })
    const gateway = await startGatewayFor(t, house.origin)
    const client = await rawClient(t, gateway.port)
    client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
    await client.receive('first half')
    go(client)
    await until(() => house.connections.open === 0, 'the house is let go')
    await isLogged(t, gateway)
  })
}

for (const framing of [
  'Content-Length: 1000\r\n\r\nfirst half',
  'Transfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n',
]) {
  for (const how of ['closes', 'resets'] as const) {
    test(`a client that ${how} in the middle of an upload (${framing.slice(0, 16)}): the house never sees a whole request`, async (t) => {
      let received = ''
      const house = await scriptedUpstream(t, (socket) => {
        socket.on('data', (chunk) => {
          received += chunk.toString()
        })
      })
      const gateway = await startGatewayFor(t, house.origin)
      const client = await rawClient(t, gateway.port)
      client.send(`POST /api/house HTTP/1.1\r\nHost: x\r\n${framing}`)
      await until(() => house.requests.length === 1, 'the request has begun')
      leave[how]!(client)
      await until(() => house.connections.open === 0, 'the house is let go')
      t.false(received.includes('0\r\n\r\n'), 'no last chunk')
      await isLogged(t, gateway)
    })
  }
}

test('a client that leaves while a connection is being made costs the house nothing', async (t) => {
  const origin = await unresponsiveOrigin(t)
  const gateway = await startGatewayFor(t, origin, {}, { CONNECT_TIMEOUT: '30s' })
  const client = await rawClient(t, gateway.port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  setTimeout(() => client.socket.destroy(), 50)
  await isLogged(t, gateway)
})

test('a client that leaves while its pipelined request waits for its turn lets both houses go', async (t) => {
  const house = await scriptedUpstream(t, (socket, head) => {
    if (head.includes('/second')) socket.write(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(3_000_000)}`)
  })
  const gateway = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, gateway.port)
  client.send(
    'GET /api/house/first HTTP/1.1\r\nHost: x\r\n\r\nGET /api/house/second HTTP/1.1\r\nHost: x\r\n\r\n',
  )
  await until(() => house.requests.length === 2, 'both have come')
  client.socket.destroy()
  await until(() => house.connections.open === 0, 'both are let go')
  await until(() => gateway.access.length === 2, 'both are in the log')
  t.true(gateway.access.every((entry) => entry.status === 499))
})

test('a pipelined reply that never had its turn is not logged as delivered', async (t) => {
  const house = await scriptedUpstream(t, (socket, head) => {
    if (head.includes('/second')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond')
  })
  const gateway = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, gateway.port)
  client.send(
    'GET /api/house/first HTTP/1.1\r\nHost: x\r\n\r\nGET /api/house/second HTTP/1.1\r\nHost: x\r\n\r\n',
  )
  await until(() => house.requests.length === 2, 'both have come')
  // The second reply has passed through by the time that a third request does.
  await request(`${gateway.url}/api/house/second`)
  client.socket.destroy()
  await until(() => gateway.access.length === 3, 'all are in the log')
  t.deepEqual(gateway.access.map((entry) => entry.status).sort(), [200, 499, 499])
})

test('a house that answers just as the client leaves harms nobody', async (t) => {
  const sockets = new Set<Socket>()
  const house = await scriptedUpstream(t, (socket) => void sockets.add(socket))
  const gateway = await startGatewayFor(t, house.origin)
  const clients = await Promise.all(Array.from({ length: 50 }, () => rawClient(t, gateway.port)))
  for (const client of clients) client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => sockets.size === 50, 'all have come')
  for (const client of clients) client.socket.destroy()
  for (const socket of sockets) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await until(() => gateway.access.length === 50, 'all are in the log')
  t.deepEqual(gateway.lines, [])
})
