import { once } from 'node:events'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { ExecutionContext } from 'ava'
import { createDoorServer, type DoorServerOptions } from '../../src/door/server.ts'
import type { GatewayError } from '../../src/errors.ts'
import { calmTest as test } from '../support/calm.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { patienceMs, until } from '../support/until.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'

const allMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

async function door(
  t: ExecutionContext,
  onRequest: RequestListener,
  options: Partial<DoorServerOptions> = {},
) {
  const unparsable: GatewayError[] = []
  const upgrades: IncomingMessage[] = []
  const server = createDoorServer({
    onRequest,
    onWebSocket: (incoming, socket) => {
      upgrades.push(incoming)
      socket.end('HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n\r\n')
    },
    onUnparsable: (error) => void unparsable.push(error),
    ...options,
  })
  const { port } = await server.listen(0, '127.0.0.1')
  t.teardown(() => server.close(AbortSignal.abort()))
  return { server, port, unparsable, upgrades, url: `http://127.0.0.1:${port}` }
}

const answerOk: RequestListener = (_request, response) => response.end('ok')

/** A problem reply on a bare socket: its status, its code, and that nothing else came. */
function problemIn(t: ExecutionContext, text: string): { status: number; code: string; head: string } {
  const [head = '', body = '', ...more] = text.split('\r\n\r\n')
  t.deepEqual(more, [], text)
  t.regex(head, /^content-type: application\/problem\+json$/im)
  t.regex(head, /^connection: close$/im)
  t.is(Number(/^content-length: (\d+)$/im.exec(head)?.[1]), Buffer.byteLength(body))
  const problem = JSON.parse(body) as { status: number; code: string; request_id: string }
  t.is(problem.request_id, /^x-request-id: (.+)$/im.exec(head)![1]!)
  t.true(head.startsWith(`HTTP/1.1 ${problem.status} `))
  return { ...problem, head }
}

test('a head that is sent too slowly is cut off with 408, while others are served', async (t) => {
  const { port, url, unparsable } = await door(t, answerOk, { headersTimeoutMs: 300 })
  const slow = await rawClient(t, port)
  slow.send('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')
  const drip = setInterval(() => slow.send('a'), 50)
  t.teardown(() => clearInterval(drip))
  slow.socket.once('end', () => clearInterval(drip))
  t.is((await request(url)).body, 'ok')
  const { text } = await slow.ended()
  t.like(problemIn(t, text), { status: 408, code: 'request_timeout' })
  t.deepEqual(
    unparsable.map((error) => error.code),
    ['request_timeout'],
  )
})

test('a connection on which nobody says anything is cut off too', async (t) => {
  const { port } = await door(t, answerOk, { headersTimeoutMs: 200 })
  const silent = await rawClient(t, port)
  await silent.ended()
  t.pass()
})

test('a body may take longer than a head', async (t) => {
  const { port } = await door(
    t,
    (incoming, response) => {
      incoming.resume()
      incoming.once('end', () => response.end('all of it'))
    },
    { headersTimeoutMs: 1500 },
  )
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\na')
  setTimeout(() => client.send('b'), 3500)
  t.regex((await client.ended()).text, /all of it$/)
})

for (const [what, text] of Object.entries({
  'no HTTP at all': 'hello\r\n\r\n',
  'TLS on the plain port': Buffer.from('16030100a5010000a10303', 'hex'),
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a version that does not exist': 'GET / HTTP/9.9\r\nHost: a\r\n\r\n',
  'an unknown method': 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n',
  'a header without a colon': 'GET / HTTP/1.1\r\nHost: a\r\nBroken\r\n\r\n',
  'a space before the colon': 'GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n',
  'a folded header': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n',
  'a bare line feed': 'GET / HTTP/1.1\nHost: a\n\n',
  'two lengths': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
  'a length and chunks':
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a negative length': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
  'a NUL in a header': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n',
})) {
  test(`${what} is answered with a 400 problem, and logged once`, async (t) => {
    const { port, unparsable } = await door(t, () => t.fail('no request should come through'))
    const client = await rawClient(t, port)
    client.send(text)
    t.like(problemIn(t, (await client.ended()).text), { status: 400, code: 'bad_request' })
    t.is(unparsable.length, 1)
  })
}

test('headers over the limit are answered with 431, though the client is still sending', async (t) => {
  const { port, unparsable } = await door(t, answerOk)
  for (let i = 0; i < 5; i += 1) {
    const client = await rawClient(t, port)
    client.send(`GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'a'.repeat(1_000_000)}\r\n\r\n`)
    const { text, reset } = await client.ended()
    t.like(problemIn(t, text), { status: 431, code: 'headers_too_large' })
    t.false(reset)
  }
  t.is(unparsable.length, 5)
})

test('a chunk that is none in mid-body is answered with 400 where nothing was answered yet', async (t) => {
  const { port } = await door(t, (incoming) => incoming.resume())
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n')
  t.like(problemIn(t, (await client.ended()).text), { status: 400, code: 'bad_request' })
})

test('a chunk that is none in mid-body breaks a reply off that has begun', async (t) => {
  const { port, unparsable } = await door(t, (incoming, response) => {
    incoming.resume()
    response.write('half')
  })
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  await client.receive('half')
  client.send('zz\r\n')
  const { text } = await client.ended()
  t.false(text.includes('HTTP/1.1 400'))
  t.false(text.endsWith('0\r\n\r\n'))
  t.is(unparsable.length, 0)
})

test('garbage behind a request does not get ahead of its reply', async (t) => {
  let answer: (() => void) | undefined
  const { port } = await door(t, (_request, response) => {
    answer = () => response.end('the answer')
  })
  const client = await rawClient(t, port)
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\ngarbage\r\n\r\n')
  await until(() => answer !== undefined, 'the request is here')
  setTimeout(() => answer?.(), 100)
  const { text } = await client.ended()
  t.regex(text, /^HTTP\/1\.1 200 OK\r\n/)
  t.regex(text, /^connection: close$/im)
  t.regex(text, /the answer$/)
})

test('an upgrade behind a request does not get ahead of its reply either', async (t) => {
  let answer: (() => void) | undefined
  const { port, upgrades } = await door(t, (_request, response) => {
    answer = () => response.end('the answer')
  })
  const client = await rawClient(t, port)
  client.send(
    'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  )
  await until(() => answer !== undefined, 'the request is here')
  setTimeout(() => answer?.(), 100)
  const { text } = await client.ended()
  t.regex(text, /^HTTP\/1\.1 200 OK\r\n.*the answer$/s)
  t.is(upgrades.length, 0)
})

test('CONNECT is refused with 405 and says what is allowed', async (t) => {
  const { port, unparsable } = await door(t, () => t.fail('no request should come through'))
  const client = await rawClient(t, port)
  client.send('CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\nbytes for elsewhere')
  const { status, code, head } = problemIn(t, (await client.ended()).text)
  t.is(status, 405)
  t.is(code, 'method_not_allowed')
  t.true(head.includes(`\r\nAllow: ${allMethods}`))
  t.is(unparsable.length, 1)
})

test('clients that reset their connection after CONNECT or an upgrade do not end the process', async (t) => {
  const { port, url } = await door(t, answerOk)
  for (const text of [
    'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'garbage\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n',
    '',
  ]) {
    for (let i = 0; i < 10; i += 1) {
      const client = await rawClient(t, port)
      client.send(text)
      client.socket.resetAndDestroy()
      await client.ended()
    }
  }
  t.is((await request(url)).body, 'ok')
})

test('an upgrade to anything but WebSocket is an ordinary request', async (t) => {
  const { port, upgrades } = await door(t, answerOk)
  const asks = [
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk',
    'Connection: Upgrade\r\nUpgrade: TLS/1.0',
    'Connection: Upgrade\r\nUpgrade: websocket, h2c',
    'Connection: keep-alive\r\nUpgrade: websocket',
    'Connection: Upgrade',
  ]
  for (const ask of asks) {
    const client = await rawClient(t, port)
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n${ask}\r\n\r\n`)
    await client.receive(/ok$/)
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const { text } = await client.ended()
    t.is(text.match(/HTTP\/1\.1 200 OK/g)?.length, 2, ask)
  }
  const old = await rawClient(t, port)
  old.send('GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  t.regex((await old.ended()).text, /^HTTP\/1\.1 200 OK/)
  t.is(upgrades.length, 0)
})

test('nothing of an h2c upgrade reaches the house', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'GET /api/house HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
  )
  await client.receive('HTTP/1.1 200 OK')
  t.notRegex(house.requests[0]!, /upgrade|h2c|http2-settings/i)
})

test('requests on one connection are answered in their order', async (t) => {
  const house = await httpUpstream(t, (incoming, response) => {
    setTimeout(() => response.end(incoming.url), incoming.url === '/slow' ? 200 : 0)
  })
  const { port } = await startGatewayFor(t, house.origin, { strip: '/api/house' })
  const client = await rawClient(t, port)
  client.send(
    ['/api/house/slow', '/livez', '/nowhere', '/api/house/quick']
      .map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
      .join(''),
  )
  const text = await client.receive(/\/quick$/)
  const order = ['/slow', '"ok"', 'not_found', '/quick'].map((part) => text.indexOf(part))
  t.deepEqual(
    order.toSorted((x, y) => x - y),
    order,
  )
})

for (const [what, headers] of Object.entries({
  'without a Host': '',
  'with two Hosts': 'Host: a\r\nHost: b\r\n',
  'with two Hosts that agree': 'Host: a\r\nhost: a\r\n',
})) {
  test(`a request ${what} is answered with a 400 problem and logged, and reaches no house`, async (t) => {
    const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    const { port, access } = await startGatewayFor(t, house.origin)
    for (const upgrade of ['', 'Upgrade: websocket\r\nConnection: Upgrade\r\n']) {
      const client = await rawClient(t, port)
      client.send(`GET /api/house HTTP/1.1\r\n${headers}${upgrade || 'Connection: close\r\n'}\r\n`)
      t.like(problemIn(t, (await client.ended()).text), { status: 400, code: 'bad_request' })
      t.like(access.at(-1), { status: 400, errorCode: 'bad_request' })
    }
    t.deepEqual(house.requests, [])
  })
}

test('an expectation that nobody knows is ignored', async (t) => {
  const { port } = await door(t, answerOk)
  const client = await rawClient(t, port)
  client.send('GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nConnection: close\r\n\r\n')
  t.regex((await client.ended()).text, /^HTTP\/1\.1 200 OK/)
})

test('no header is dropped, however many there are', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(`GET /api/house HTTP/1.1\r\nHost: a\r\n${'a:\r\n'.repeat(2500)}X-Last: here\r\n\r\n`)
  await client.receive('HTTP/1.1 200 OK')
  t.regex(house.requests[0]!, /^x-last: here$/im)
})

test('CONNECT, TRACE and OPTIONS * are refused by the gateway, and reach no house', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const { port, access } = await startGatewayFor(t, house.origin, { path: '/' })
  for (const [line, status] of [
    ['CONNECT house:80', 405],
    ['TRACE /anything', 405],
    ['OPTIONS *', 400],
  ] as const) {
    const client = await rawClient(t, port)
    client.send(`${line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    t.is(problemIn(t, (await client.ended()).text).status, status, line)
    t.is(access.at(-1)?.status, status, line)
  }
  t.deepEqual(house.requests, [])
})

test('listening on a port that is taken is rejected', async (t) => {
  const { port } = await door(t, answerOk)
  const second = createDoorServer({ onRequest: answerOk, onWebSocket: () => {}, onUnparsable: () => {} })
  await t.throwsAsync(second.listen(port, '127.0.0.1'), { code: 'EADDRINUSE' })
})

const soon = 60_000

async function closesSoon(t: ExecutionContext, closing: Promise<void>): Promise<void> {
  const startedAt = performance.now()
  await closing
  const took = performance.now() - startedAt
  t.true(took < soon, `closing took ${took} ms`)
}

test('closing takes no more connections, and ends idle ones and those that never spoke', async (t) => {
  const { server, port, url } = await door(t, answerOk)
  const silent = await rawClient(t, port)
  const idle = await rawClient(t, port)
  idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await idle.receive('ok')
  const closing = server.close(AbortSignal.timeout(patienceMs))
  await closesSoon(t, closing)
  await t.throwsAsync(request(url), { code: 'ECONNREFUSED' })
  await Promise.all([silent.ended(), idle.ended()])
})

test('a request that was on its way when closing began is answered', async (t) => {
  const { server, port } = await door(t, (_request, response) => {
    response.setHeader('Connection', 'close')
    response.end('ok')
  })
  const idle = await rawClient(t, port)
  const closing = server.close(AbortSignal.timeout(patienceMs))
  idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  t.regex((await idle.ended()).text, /ok$/)
  await closesSoon(t, closing)
})

test('a reply that had begun before closing is finished, and its connection ends with it', async (t) => {
  let finish = () => {}
  const { server, port } = await door(t, (_request, response) => {
    response.writeHead(200, { 'Content-Length': 8 })
    response.write('half')
    finish = () => response.end('half')
  })
  const client = await rawClient(t, port)
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.receive('half')
  const closing = server.close(AbortSignal.timeout(patienceMs))
  setTimeout(() => finish(), 300)
  t.regex((await client.ended()).text, /halfhalf$/)
  await closesSoon(t, closing)
})

test('what is not over when the time is up is cut: requests, half-sent heads and upgraded connections', async (t) => {
  const { server, port } = await door(t, () => {}, {
    onWebSocket: (_request, socket) => void socket.write('HTTP/1.1 101 x\r\n\r\n'),
  })
  const hanging = await rawClient(t, port)
  hanging.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const half = await rawClient(t, port)
  half.send('GET / HTTP/1.1\r\n')
  const upgraded = await rawClient(t, port)
  upgraded.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await upgraded.receive('101')
  const startedAt = performance.now()
  await server.close(AbortSignal.timeout(300))
  const took = performance.now() - startedAt
  t.true(took > 250 && took < 300 + soon, `closing took ${took} ms`)
  await Promise.all([hanging.ended(), half.ended(), upgraded.ended()])
})

test('closing with the time already up is closing at once', async (t) => {
  const { server, port } = await door(t, () => {})
  const client = await rawClient(t, port)
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await closesSoon(t, server.close(AbortSignal.abort()))
  await client.ended()
})

test('a client that vanishes in the middle of everything leaves nothing behind', async (t) => {
  const { url, port, gateway } = await startGateway(t)
  for (let i = 0; i < 20; i += 1) {
    const client = await rawClient(t, port)
    client.send('POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nab')
    if (i % 2 === 0) client.socket.resetAndDestroy()
    else client.socket.destroy()
    await once(client.socket, 'close').catch(() => {})
  }
  t.is((await request(`${url}/livez`)).status, 200)
  await closesSoon(t, gateway.stop())
})
