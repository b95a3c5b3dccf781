import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { healthSettings } from '../../src/discovery/health-settings.ts'
import { createOutlierDetection } from '../../src/proxy/outlier.ts'
import { createProxyRoutes } from '../../src/proxy/routes.ts'
import { createUpstreams } from '../../src/proxy/upstreams.ts'
import { createWebSocketRelay } from '../../src/proxy/websocket.ts'
import { calmTest as test } from '../support/calm.ts'
import { startGateway, startGatewayFor, type TestGateway } from '../support/gateway.ts'
import { recordedLog } from '../support/hand-source.ts'
import { publishedServices } from '../support/published-services.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import {
  deadOrigin,
  httpUpstream,
  rawUpstream,
  scriptedUpstream,
  unresponsiveOrigin,
} from '../support/upstream.ts'
import { accepted, handshake, nextMessage, openWebSocket, webSocketHouse } from '../support/websocket.ts'

const path = '/api/house'

/** The problem that a handshake was declined with, off the wire. */
async function declined(t: ExecutionContext, { port }: TestGateway, text: string) {
  const client = await rawClient(t, port)
  client.send(text)
  const { text: reply } = await client.ended()
  const [head = '', body = ''] = reply.split('\r\n\r\n')
  t.regex(head, /^content-type: application\/problem\+json$/im)
  return { head, ...(JSON.parse(body) as { status: number; code: string; request_id: string }) }
}

/** Hears everything, says nothing, and closes when the other side does. */
function listen(socket: Socket): void {
  socket.resume()
  socket.once('end', () => socket.end())
}

test('messages go both ways, text and binary, of every size up to 1 MB', async (t) => {
  const house = await webSocketHouse(t)
  const { url } = await startGatewayFor(t, house.origin)
  const client = await openWebSocket(t, url + path)
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_048_576]) {
    const text = 'x'.repeat(size)
    client.send(text)
    t.true((await nextMessage(client)) === text, `${size} characters`)
    const bytes = Buffer.alloc(size, 7)
    client.send(bytes)
    const [data, isBinary] = (await once(client, 'message')) as [Buffer, boolean]
    t.true(isBinary && data.equals(bytes), `${size} bytes`)
  }
})

test('many messages at once arrive complete and in order', async (t) => {
  const house = await webSocketHouse(t)
  const { url } = await startGatewayFor(t, house.origin)
  const client = await openWebSocket(t, url + path)
  const received: string[] = []
  client.on('message', (data) => received.push(String(data)))
  const sent = Array.from({ length: 2000 }, (_, i) => `${i} ${'x'.repeat(i % 300)}`)
  for (const message of sent) client.send(message)
  await until(() => received.length === sent.length, 'all are back')
  t.deepEqual(received, sent)
})

test('compression is agreed upon by the two ends', async (t) => {
  const house = await webSocketHouse(t, { perMessageDeflate: { threshold: 0 } })
  const { url } = await startGatewayFor(t, house.origin)
  const client = await openWebSocket(t, url + path, { compress: true })
  t.regex(client.extensions, /permessage-deflate/)
  const text = 'the same again '.repeat(50_000)
  client.send(text)
  t.true((await nextMessage(client)) === text)
  t.regex(house.opened[0]!.socket.extensions, /permessage-deflate/)
})

test('a subprotocol is agreed upon by the two ends', async (t) => {
  const house = await webSocketHouse(t, { handleProtocols: () => 'graphql-transport-ws' })
  const { url } = await startGatewayFor(t, house.origin)
  const client = await openWebSocket(t, url + path, { protocols: ['graphql-ws', 'graphql-transport-ws'] })
  t.is(client.protocol, 'graphql-transport-ws')
  t.is(house.opened[0]!.handshake.headers['sec-websocket-protocol'], 'graphql-ws,graphql-transport-ws')
})

test('pings and pongs go through, both ways', async (t) => {
  const house = await webSocketHouse(t)
  const { url } = await startGatewayFor(t, house.origin)
  const client = await openWebSocket(t, url + path)
  client.ping('from the client')
  t.is(String((await once(client, 'pong'))[0]), 'from the client')
  const { socket } = house.opened[0]!
  socket.ping('from the house')
  t.is(String((await once(socket, 'pong'))[0]), 'from the house')
})

test('the house is told of the path, the query and the caller, and of nothing it must not be', async (t) => {
  const house = await webSocketHouse(t)
  const { url, access } = await startGatewayFor(t, house.origin, { path: '/api/chat', strip: '/api' })
  const client = await openWebSocket(t, `${url}/api/%63hat/room?id=1`, {
    headers: {
      'X-User-Id': 'admin',
      x_user_scope: 'everything',
      'X-Forwarded-For': '1.2.3.4',
      Forwarded: 'for=1.2.3.4',
      'X-Request-Id': 'callers-own-id',
      Cookie: 'session=1',
      Origin: 'https://www.jinmini.com',
    },
  })
  const { handshake: seen } = house.opened[0]!
  t.is(seen.url, '/chat/room?id=1')
  t.is(seen.headers['x-user-id'], undefined)
  t.is(seen.headers.x_user_scope, undefined)
  t.is(seen.headers['x-forwarded-for'], '127.0.0.1')
  t.regex(String(seen.headers.forwarded), /^for=127\.0\.0\.1;host="127\.0\.0\.1:\d+";proto=http$/)
  t.is(seen.headers['x-request-id'], 'callers-own-id')
  t.is(seen.headers.host, house.origin.slice('http://'.length))
  t.is(seen.headers.cookie, 'session=1')
  t.is(seen.headers.origin, 'https://www.jinmini.com')
  client.close()
  await until(() => access.length === 1, 'the line')
  t.like(access[0], {
    requestId: 'callers-own-id',
    method: 'GET',
    path: '/api/chat/room',
    status: 101,
    service: 'house',
    instance: house.origin.slice('http://'.length),
    attempts: 1,
    errorCode: undefined,
  })
})

test('identity headers are removed even where Connection names the headers of the handshake', async (t) => {
  const house = await scriptedUpstream(t, accepted)
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade, X-Drop-Me\r\nUpgrade: WebSocket\r\nX-Drop-Me: 1\r\nX-USER-ID: admin\r\nX_Forwarded_For: 9.9.9.9\r\n\r\n`,
  )
  await client.receive('101 Switching Protocols')
  const [head = ''] = house.requests
  t.notRegex(head, /x-drop-me|admin|9\.9\.9\.9/i)
  t.deepEqual(head.match(/^(?:connection|upgrade): .*$/gim), ['connection: upgrade', 'upgrade: websocket'])
})

for (const [code, reason] of [
  [1000, 'bye'],
  [1001, 'going away'],
  [4242, 'for reasons of my own'],
] as const) {
  test(`a client that closes with ${code} is understood by the house, and the other way round`, async (t) => {
    const house = await webSocketHouse(t)
    const { url } = await startGatewayFor(t, house.origin)
    const first = await openWebSocket(t, url + path)
    first.close(code, reason)
    const [byClient, why] = (await once(house.opened[0]!.socket, 'close')) as [number, Buffer]
    t.deepEqual([byClient, String(why)], [code, reason])
    const second = await openWebSocket(t, url + path)
    house.opened[1]!.socket.close(code, reason)
    const [byHouse, because] = (await once(second, 'close')) as [number, Buffer]
    t.deepEqual([byHouse, String(because)], [code, reason])
    await until(() => house.connections.open === 0, 'no connection is left')
  })
}

test('a connection that a side breaks off is broken off on the other', async (t) => {
  const house = await webSocketHouse(t)
  const { url } = await startGatewayFor(t, house.origin)
  const first = await openWebSocket(t, url + path)
  first.terminate()
  t.is((await once(house.opened[0]!.socket, 'close'))[0], 1006)
  const second = await openWebSocket(t, url + path)
  house.opened[1]!.socket.terminate()
  t.is((await once(second, 'close'))[0], 1006)
  await until(() => house.connections.open === 0, 'no connection is left')
})

test('what a house says with its last breath arrives, though the client reads slowly', async (t) => {
  const size = 8_000_000
  const house = await rawUpstream(t, (socket) => {
    socket.once('data', () => {
      socket.write(accepted)
      socket.end(Buffer.alloc(size, 'x'))
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.socket.pause()
  client.send(handshake(path))
  await until(() => house.connections.total === 1, 'the house was asked')
  await delay(500)
  client.socket.resume()
  const { text } = await client.ended()
  t.is(text.length - text.indexOf('\r\n\r\n') - 4, size)
})

test('what a client says with its last breath arrives', async (t) => {
  const size = 8_000_000
  let received = 0
  const house = await rawUpstream(t, (socket) => {
    socket.once('data', () => {
      socket.write(accepted)
      socket.on('data', (chunk) => (received += chunk.length))
      socket.once('end', () => socket.end('thanks'))
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(handshake(path))
  await client.receive('101')
  client.socket.end(Buffer.alloc(size, 'x'))
  t.regex((await client.ended()).text, /thanks$/)
  t.is(received, size)
})

test('bytes behind the 101 arrive in front of those that come later', async (t) => {
  const house = await rawUpstream(t, (socket) => {
    socket.once('data', () => {
      socket.write(`${accepted}right behind`)
      setTimeout(() => socket.write(', and later'), 50)
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(handshake(path))
  const text = await client.receive('and later')
  t.regex(text, /\r\n\r\nright behind, and later$/)
})

test('bytes that a client sends before it is answered reach the house behind the handshake, none lost', async (t) => {
  let received = ''
  const house = await rawUpstream(t, (socket) => {
    socket.on('data', (chunk) => {
      if (received === '') setTimeout(() => socket.write(accepted), 200)
      received += chunk.toString('latin1')
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(`${handshake(path)}in the same packet|`)
  await until(() => received !== '', 'the handshake is there')
  client.send(`while it waits|${'x'.repeat(100_000)}|`)
  t.false(received.includes('in the same packet'), 'nothing is sent ahead of the answer')
  await client.receive('101')
  client.send('afterwards')
  await until(() => received.endsWith('afterwards'), 'everything is there')
  t.is(
    received.slice(received.indexOf('\r\n\r\n') + 4),
    `in the same packet|while it waits|${'x'.repeat(100_000)}|afterwards`,
  )
})

test('a house that ends its side first still hears the client for a moment, then both are closed', async (t) => {
  const house = await rawUpstream(t, (socket) => {
    socket.once('data', () => socket.end(accepted))
  })
  const gateway = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, gateway.port)
  client.send(handshake(path))
  await once(client.socket, 'end')
  await client.ended()
  await until(() => house.connections.open === 0, 'no connection is left')
  await until(() => gateway.access.length === 1, 'it is in the log')
  t.is(gateway.access[0]?.status, 101)
})

test('a side that never closes after the other has is cut off', async (t) => {
  const house = await rawUpstream(t, (socket) => {
    socket.once('data', () => socket.write(accepted))
    socket.resume()
  })
  const gateway = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, gateway.port)
  client.send(handshake(path))
  await client.receive('101')
  client.socket.end()
  await client.ended()
  await until(() => gateway.access.length === 1, 'the house is given up')
  t.pass()
})

test('a WebSocket on which nothing moves is closed, one on which something does is not', async (t) => {
  const house = await webSocketHouse(t)
  const { url, access } = await startGatewayFor(t, house.origin, {}, { WEBSOCKET_IDLE_TIMEOUT: '1s' })
  const idle = await openWebSocket(t, url + path)
  const closed = once(idle, 'close')
  const busy = await openWebSocket(t, url + path)
  const chatter = setInterval(() => busy.send('still here'), 100)
  t.teardown(() => clearInterval(chatter))
  t.is((await closed)[0], 1006)
  await delay(1200)
  t.is(busy.readyState, busy.OPEN)
  t.is(access.length, 1)
  t.is(access[0]?.status, 101)
})

test('a house that only speaks, and a client that only speaks, are not idle', async (t) => {
  const house = await webSocketHouse(t, {}, (socket) => {
    const timer = setInterval(() => socket.send('news'), 100)
    socket.once('close', () => clearInterval(timer))
  })
  const { url } = await startGatewayFor(t, house.origin, {}, { WEBSOCKET_IDLE_TIMEOUT: '1s' })
  const listener = await openWebSocket(t, url + path)
  await delay(2000)
  t.is(listener.readyState, listener.OPEN)
})

test('a house that refuses the connection is a 502 problem', async (t) => {
  const gateway = await startGatewayFor(t, await deadOrigin())
  const { status, code, request_id } = await declined(t, gateway, handshake(path))
  t.deepEqual([status, code], [502, 'upstream_refused'])
  t.like(gateway.access[0], {
    status: 502,
    errorCode: 'upstream_refused',
    requestId: request_id,
    attempts: 1,
  })
  t.regex(String(gateway.access[0]?.instance), /^127\.0\.0\.1:\d+$/)
})

test('an instance that refuses is passed over for the next one', async (t) => {
  const house = await webSocketHouse(t)
  const { url, access } = await startGatewayFor(t, [await deadOrigin(), house.origin], {
    balance: 'round-robin',
  })
  for (let i = 0; i < 4; i += 1) {
    const client = await openWebSocket(t, url + path)
    client.send('hello')
    t.is(await nextMessage(client), 'hello')
    client.close()
  }
  await until(() => access.length === 4, 'four lines')
  t.true(access.every(({ status }) => status === 101))
  t.true(access.some(({ attempts }) => attempts === 2))
})

test('a house that resets before it answers is tried again, then it is a 502 problem', async (t) => {
  const house = await rawUpstream(t, (socket) => void socket.once('data', () => socket.resetAndDestroy()))
  const gateway = await startGatewayFor(t, house.origin)
  const { status, code } = await declined(t, gateway, handshake(path))
  t.deepEqual([status, code], [502, 'upstream_reset'])
  t.is(gateway.access[0]?.attempts, 2)
  t.is(house.connections.total, 2)
})

for (const [what, reply] of Object.entries({
  'that is no HTTP': 'hello\r\n\r\n',
  'with a status that HTTP does not have': 'HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n',
  'with a control character in its reason': 'HTTP/1.1 404 Not\x01Found\r\nContent-Length: 0\r\n\r\n',
  'that switches to another protocol':
    'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
  'that switches without saying to what': 'HTTP/1.1 101 Switching\r\n\r\n\x81\x05hello',
  'whose 101 has a transfer coding':
    'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: gzip\r\n\r\n',
})) {
  test(`a reply ${what} is a 502 problem, and nothing is left open`, async (t) => {
    const house = await scriptedUpstream(t, reply)
    const gateway = await startGatewayFor(t, house.origin, { retries: 0 })
    const { status, code } = await declined(t, gateway, handshake(path))
    t.deepEqual([status, code], [502, 'upstream_bad_response'])
    await until(() => house.connections.open === 0, 'no connection is left')
    t.is((await request(`${gateway.url}/livez`)).status, 200)
  })
}

test('an interim reply is no answer: the one behind it counts', async (t) => {
  const house = await scriptedUpstream(t, `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${accepted}`)
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(handshake(path))
  t.regex(await client.receive('101'), /^HTTP\/1\.1 101 /)
})

test('a length in a 101 is not passed on', async (t) => {
  const house = await scriptedUpstream(t, accepted.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n'))
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(handshake(path))
  t.notRegex(await client.receive('\r\n\r\n'), /content-length/i)
})

test('an unasked-for 101 to an ordinary request is a 502 problem', async (t) => {
  const house = await scriptedUpstream(t, accepted)
  const { url } = await startGatewayFor(t, house.origin)
  const reply = await request(url + path, { method: 'POST', body: 'x' })
  t.is(reply.status, 502)
  t.is(JSON.parse(reply.body).code, 'upstream_bad_response')
  t.is((await request(`${url}/livez`)).status, 200)
})

for (const [status, body] of [
  [401, 'token, please'],
  [404, 'no such room'],
  [426, ''],
  [200, 'a page'],
  [302, ''],
  [503, 'x'.repeat(300_000)],
] as const) {
  test(`a house that answers with ${status} and ${body.length} bytes is relayed`, async (t) => {
    const house = await httpUpstream(t, (_request, response) => {
      response.writeHead(status, { 'X-Of-House': 'yes', 'Content-Type': 'text/plain' }).end(body)
    })
    // Node hands upgrades over only where somebody listens: here nobody does.
    const { port, access } = await startGatewayFor(t, house.origin)
    const client = await rawClient(t, port)
    client.send(handshake(path))
    const { text } = await client.ended()
    t.regex(text, new RegExp(`^HTTP/1\\.1 ${status} `))
    t.regex(text, /^x-of-house: yes$/im)
    t.regex(text, /^connection: close$/im)
    t.regex(text, /^x-request-id: /im)
    if (body !== '') t.true(text.includes(body.slice(0, 1000)))
    await until(() => access.length === 1, 'the line')
    t.like(access[0], { status, errorCode: undefined })
  })
}

test('a reply in chunks to a handshake is relayed in chunks, as they come', async (t) => {
  let finish = () => {}
  const house = await httpUpstream(t, (_request, response) => {
    response.writeHead(403)
    response.write('first')
    finish = () => response.end('last')
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(handshake(path))
  await client.receive('first')
  finish()
  t.regex((await client.ended()).text, /5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n$/)
})

test('a reply that breaks off in mid-body is broken off, never ended', async (t) => {
  const house = await scriptedUpstream(t, (socket) => {
    socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf')
    setTimeout(() => socket.destroy(), 50)
  })
  const { port, access } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(handshake(path))
  t.regex((await client.ended()).text, /content-length: 100\r\n.*\r\n\r\nhalf$/is)
  await until(() => access.length === 1, 'the line')
  t.like(access[0], { errorCode: 'upstream_reset' })
})

test('an endless reply to a handshake is held back when the client does not read', async (t) => {
  let written = 0
  const house = await httpUpstream(t, (_request, response) => {
    response.writeHead(200)
    const pour = () => {
      do written += 65_536
      while (response.write(Buffer.alloc(65_536)))
      response.once('drain', pour)
    }
    pour()
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.socket.pause()
  client.send(handshake(path))
  await until(() => written > 0, 'the house begins')
  let before = -1
  while (written !== before) {
    before = written
    await delay(300)
  }
  t.true(written < 64_000_000, `${written} bytes`)
})

test('a client that leaves while a house declines at length takes the house’s connection with it', async (t) => {
  const house = await httpUpstream(t, (_request, response) => {
    const timer = setInterval(() => response.write('and another thing'), 20)
    response.once('close', () => clearInterval(timer))
  })
  const { port, access } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(handshake(path))
  await client.receive('another')
  client.socket.destroy()
  await until(() => house.connections.open === 0, 'the house is let go')
  t.like(access[0], { status: 499, errorCode: 'client_closed_request' })
})

for (const way of ['ends', 'resets'] as const) {
  test(`a client that ${way} the connection during the handshake takes the house’s with it`, async (t) => {
    const house = await rawUpstream(t, listen)
    const { port, access } = await startGatewayFor(t, house.origin)
    const client = await rawClient(t, port)
    client.send(handshake(path))
    await until(() => house.connections.open === 1, 'the house is asked')
    if (way === 'ends') client.socket.destroy()
    else client.socket.resetAndDestroy()
    await until(() => house.connections.open === 0, 'the house is let go')
    t.like(access[0], { status: 499, errorCode: 'client_closed_request' })
  })
}

test('a client that leaves while the house is being connected to leaves nothing behind', async (t) => {
  const { port, access } = await startGatewayFor(
    t,
    await unresponsiveOrigin(t),
    {},
    { CONNECT_TIMEOUT: '500ms' },
  )
  const client = await rawClient(t, port)
  client.send(handshake(path))
  await delay(100)
  client.socket.resetAndDestroy()
  await until(() => access.length === 1, 'the line')
  t.like(access[0], { status: 499 })
  await delay(700)
  t.is(access.length, 1)
})

test('a house that does not answer the handshake is a 504 problem at the deadline', async (t) => {
  const house = await rawUpstream(t, listen)
  const gateway = await startGatewayFor(t, house.origin, { timeout: '300ms' })
  const startedAt = performance.now()
  const { status, code } = await declined(t, gateway, handshake(path))
  t.deepEqual([status, code], [504, 'upstream_timeout'])
  t.true(performance.now() - startedAt >= 290)
  await until(() => house.connections.open === 0, 'the house is let go')
})

test('a service without an instance is a 503 problem with Retry-After', async (t) => {
  const gateway = await startGateway(t, { services: publishedServices([]) })
  const { head, status, code } = await declined(t, gateway, handshake(path))
  t.deepEqual([status, code], [503, 'no_instance'])
  t.regex(head, /^retry-after: \d+$/im)
})

test('a route that asks for a token is a 401 problem, before the house hears of it', async (t) => {
  const house = await scriptedUpstream(t, accepted)
  const gateway = await startGatewayFor(t, house.origin, { auth: 'required' })
  const { head, status, code } = await declined(t, gateway, handshake(path))
  t.deepEqual([status, code], [401, 'authentication_required'])
  t.regex(head, /^www-authenticate: Bearer$/im)
  t.deepEqual(house.requests, [])
})

for (const [what, text, status, code] of [
  ['a path that leads nowhere', handshake('/nowhere'), 404, 'not_found'],
  ['an ambiguous path', handshake(`${path}/..%2f`), 400, 'ambiguous_path'],
  ['a page of the gateway', handshake('/docs'), 404, 'not_found'],
  ['the gateway’s health', handshake('/livez'), 404, 'not_found'],
  ['another method than GET', handshake(path).replace('GET', 'POST'), 400, 'bad_request'],
  ['a body of known length', `${handshake(path, ['Content-Length: 5'])}hello`, 400, 'bad_request'],
  ['a body in chunks', `${handshake(path, ['Transfer-Encoding: chunked'])}0\r\n\r\n`, 400, 'bad_request'],
] as const) {
  test(`a handshake with ${what} is a ${status} problem, and reaches no house`, async (t) => {
    const house = await scriptedUpstream(t, accepted)
    const gateway = await startGateway(t, {
      file: {
        services: {
          house: { urls: [house.origin], auth: 'none', openapi: false },
          all: {
            urls: [house.origin],
            auth: 'none',
            openapi: false,
            path: status === 404 && what !== 'a path that leads nowhere' ? '/' : '/all',
          },
        },
      },
    })
    const problem = await declined(t, gateway, text)
    t.deepEqual([problem.status, problem.code], [status, code])
    t.like(gateway.access[0], { status, errorCode: code, requestId: problem.request_id })
    t.deepEqual(house.requests, [])
  })
}

test('200 connections that are opened and destroyed leave nothing at the house, and nothing in flight', async (t) => {
  const house = await webSocketHouse(t)
  const { port, access } = await startGatewayFor(t, house.origin)
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const client = await rawClient(t, port)
      client.send(handshake(path))
      // A third before the answer, a third after it, a third while bytes are on their way.
      if (i % 3 !== 0) await client.receive('101')
      if (i % 3 === 2) client.send('\x82\x80')
      if (i % 2 === 0) client.socket.resetAndDestroy()
      else client.socket.destroy()
      await client.ended()
    }),
  )
  await until(() => access.length === 200, 'every one has its line')
  await until(() => house.connections.open === 0, 'no connection is left at the house')
  t.true(access.every(({ status }) => status === 101 || status === 499))
})

test('an open WebSocket counts as in flight until it is closed, a declined one until it is answered', async (t) => {
  const house = await webSocketHouse(t)
  const upstreams = createUpstreams({ connectTimeoutMs: 10_000, idleTimeoutMs: 10_000 })
  t.teardown(() => upstreams.destroy())
  const outliers = createOutlierDetection({ log: recordedLog() })
  t.teardown(() => outliers.stop())
  const routes = createProxyRoutes({
    upstreams,
    outliers,
    defaultTimeoutMs: 10_000,
    random: () => 0,
    log: recordedLog(),
  })
  routes.update({
    version: 1,
    routes: [
      {
        prefix: '/',
        service: 'house',
        strip: '',
        auth: 'none',
        scopes: [],
        timeoutMs: undefined,
        retries: 1,
        openapi: false,
        inject: undefined,
        balance: 'p2c',
        health: healthSettings({}),
        retryBudget: 20,
        concurrency: undefined,
        instances: [{ id: 'one', origin: house.origin }],
      },
    ],
  })
  const route = routes.find('/')!
  const [upstream] = route.group.all
  const relay = createWebSocketRelay({
    outliers,
    random: Math.random,
    renew: routes.renew,
    idleTimeoutMs: 10_000,
    reservedHeaders: new Set(),
    isRevoked: () => false,
  })
  t.teardown(() => relay.closeAll())
  const door = await httpUpstream(t, () => {})
  door.server.on('upgrade', (incoming, socket, head) => {
    const identity = {
      requestId: 'id',
      forwardedFor: '127.0.0.1',
      forwardedHost: undefined,
      forwardedProto: 'http',
      forwarded: 'for=127.0.0.1',
    } as const
    const refuse = () => socket.destroy()
    relay.relay({ incoming, socket, head, route, identity, pass: undefined, refuse, done: () => {} })
  })
  const clients = await Promise.all([1, 2, 3].map(() => openWebSocket(t, door.origin)))
  t.is(upstream?.inFlight, 3)
  clients[0]?.close()
  clients[1]?.terminate()
  await until(() => upstream?.inFlight === 1, 'two are closed')
  await house.close()
  await until(() => upstream?.inFlight === 0, 'the house is gone')
  await t.throwsAsync(openWebSocket(t, door.origin))
  t.is(upstream?.inFlight, 0)
})

test('a change of the table leaves open WebSockets alone', async (t) => {
  const [first, second] = [await webSocketHouse(t), await webSocketHouse(t)]
  const services = publishedServices([first.origin], { openapi: false })
  const { url } = await startGateway(t, { services })
  const client = await openWebSocket(t, url + path)
  services.publish([second.origin])
  await until(async () => {
    const next = await openWebSocket(t, url + path)
    next.terminate()
    return second.opened.length > 0
  }, 'the new instance is used')
  client.send('still here')
  t.is(await nextMessage(client), 'still here')
})

test('stopping closes open WebSockets, declines those in their handshake, and waits for neither', async (t) => {
  const house = await webSocketHouse(t)
  const silent = await rawUpstream(t, listen)
  const { url, port, gateway, access } = await startGateway(t, {
    file: {
      services: {
        house: { urls: [house.origin], auth: 'none', openapi: false },
        silent: { urls: [silent.origin], auth: 'none', openapi: false },
      },
    },
    env: { DRAIN_TIMEOUT: '5m' },
  })
  const client = await openWebSocket(t, url + path)
  const waiting = await rawClient(t, port)
  waiting.send(handshake('/api/silent'))
  await until(() => silent.connections.open === 1, 'the handshake is on its way')
  const startedAt = performance.now()
  const closed = once(client, 'close')
  const stopped = gateway.stop()
  await closed
  t.regex((await waiting.ended()).text, /^HTTP\/1\.1 503 .*"code":"shutting_down"/s)
  await stopped
  t.true(performance.now() - startedAt < 60_000)
  t.is(house.connections.open + silent.connections.open, 0)
  t.deepEqual(access.map(({ status, errorCode }) => [status, errorCode]).toSorted(), [
    [101, undefined],
    [503, 'shutting_down'],
  ])
})

test('a WebSocket whose ends do not let go is cut when the time to drain is up', async (t) => {
  const house = await scriptedUpstream(t, accepted)
  const { port, gateway } = await startGatewayFor(t, house.origin, {}, { DRAIN_TIMEOUT: '500ms' })
  const client = await rawClient(t, port)
  client.socket.removeAllListeners('end')
  client.socket.allowHalfOpen = true
  client.send(handshake(path))
  await client.receive('101')
  const startedAt = performance.now()
  await gateway.stop()
  const took = performance.now() - startedAt
  t.true(took < 60_000, `stopping took ${took} ms`)
  client.socket.destroy()
})

test('no WebSocket is opened while the gateway drains', async (t) => {
  const house = await httpUpstream(t, (_request, response) => {
    setTimeout(() => response.end('done'), 600)
  })
  const { port, url, gateway } = await startGatewayFor(t, house.origin, {}, { DRAIN_TIMEOUT: '3s' })
  const early = await rawClient(t, port)
  early.send('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n')
  await early.receive('"ok"')
  const inFlight = request(url + path)
  await until(() => house.connections.open === 1, 'a request is in flight')
  const stopped = gateway.stop()
  early.send(handshake(path))
  t.regex((await early.ended()).text, /HTTP\/1\.1 503 .*"code":"shutting_down"/s)
  t.is((await inFlight).body, 'done')
  await stopped
})
