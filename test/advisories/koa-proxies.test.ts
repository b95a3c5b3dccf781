import http from 'node:http'
import type { Socket } from 'node:net'
import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, keepAliveAgent, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'

// What koa-proxies 0.12.4 and http-proxy 1.18.1 do as shipped, one probe for each: the reasons why their engine
// is replaced (docs/adr/0001). More on every one of these is in test/proxy.

const good = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

for (const header of ['keep-alive', 'close']) {
  test(`50 requests that say Connection: ${header} open one upstream connection, not 50`, async (t) => {
    const house = await httpUpstream(t, (_request, response) => response.end('ok'))
    const { url } = await startGatewayFor(t, house.origin)
    const agent = keepAliveAgent(t)
    for (let i = 0; i < 50; i += 1) {
      await request(`${url}/api/house`, { agent, headers: { connection: header } })
    }
    t.is(house.connections.total, 1)
  })
}

test('a GET with a Trailer header does not end the process (http-proxy #1647)', async (t) => {
  const house = await scriptedUpstream(t, good)
  const { port, url } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\n\r\n')
  t.regex(await client.receive('ok'), /^HTTP\/1\.1 200 /)
  t.is((await request(`${url}/livez`)).status, 200)
})

for (const [name, reply, status] of [
  ['Trailer with Content-Length', 'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 0\r\n\r\n', 200],
  ['status 000', 'HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n', 502],
  ['a control character in the reason phrase', 'HTTP/1.1 200 \x07\r\nContent-Length: 0\r\n\r\n', 502],
] as const) {
  test(`a house that sends ${name} does not end the process`, async (t) => {
    const house = await scriptedUpstream(t, reply)
    const gateway = await startGatewayProcess(t, house.origin)
    t.is((await request(`${gateway.url}/api/house`)).status, status)
    t.is((await request(`${gateway.url}/livez`)).status, 200)
  })
}

test('a reset in mid-chunk does not become `OK` and the end of a whole reply', async (t) => {
  let house: Socket | undefined
  const upstream = await scriptedUpstream(t, (socket) => {
    house = socket
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf of it')
  })
  const { port } = await startGatewayFor(t, upstream.origin)
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  await client.receive('half of it')
  house!.resetAndDestroy()
  t.true((await client.ended()).text.endsWith('\r\n\r\na\r\nhalf of it\r\n'))
})

for (const [name, answer] of Object.entries<(socket: Socket) => void>({
  'closes in mid-body': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
  'says nothing at all': () => {},
  'switches protocols unasked': (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
})) {
  test(`a client does not wait for ever on a house that ${name}`, async (t) => {
    const house = await scriptedUpstream(t, answer)
    const { port } = await startGatewayFor(t, house.origin, { timeout: '300ms' })
    const client = await rawClient(t, port)
    client.send('GET /api/house HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await client.ended()
    t.pass()
  })
}

test('a client that aborts takes the upstream request with it (http-proxy #1559, #1580)', async (t) => {
  const house = await scriptedUpstream(t, () => {})
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => house.requests.length === 1, 'the request has come')
  client.socket.destroy()
  await until(() => house.connections.open === 0, 'the house is let go')
  t.pass()
})

for (const method of ['DELETE', 'OPTIONS']) {
  test(`a request inside the chunked body of ${method} is not smuggled past the gateway (CVE-2026-29057)`, async (t) => {
    const seen: string[] = []
    const house = await httpUpstream(t, (incoming, response) => {
      seen.push(`${incoming.method} ${incoming.url}`)
      incoming.resume().on('end', () => response.end('ok'))
    })
    const { port, url } = await startGatewayFor(t, house.origin)
    const client = await rawClient(t, port)
    const inner = 'GET /admin HTTP/1.1\r\nHost: evil\r\n\r\n'
    client.send(
      `${method} /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`,
    )
    await client.receive('ok')
    await request(`${url}/api/house/next`)
    t.deepEqual(seen, [`${method} /`, 'GET /next'])
  })
}

test('Expect: 100-continue does not let a spoofed identity through', async (t) => {
  const house = await scriptedUpstream(t, good)
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'POST /api/house HTTP/1.1\r\nHost: x\r\nX-User-Id: admin\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx',
  )
  await client.receive('ok')
  t.notRegex(house.requests[0]!, /x-user-id|admin/i)
})

test('hop-by-hop headers, and those named in Connection, are not forwarded either way', async (t) => {
  const house = await scriptedUpstream(
    t,
    'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Back\r\nX-Back: 1\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok',
  )
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'GET /api/house HTTP/1.1\r\nHost: x\r\nConnection: close, X-Forth\r\nX-Forth: 1\r\nTE: trailers\r\n\r\n',
  )
  const text = await client.receive('ok')
  t.notRegex(house.requests[0]!, /x-forth|^te:/im)
  t.notRegex(text, /x-back|proxy-authenticate/i)
})

test('a deadline that passes is 504, a reset is 502, an unknown host is 502: not all of them 500', async (t) => {
  const silent = await scriptedUpstream(t, () => {})
  const resets = await scriptedUpstream(t, (socket) => void socket.resetAndDestroy())
  const outcomes: string[] = []
  for (const origin of [silent.origin, resets.origin, 'http://nobody.invalid']) {
    // Only the silent one is to run into it.
    const timeout = origin === silent.origin ? '300ms' : '15s'
    const { url } = await startGatewayFor(t, origin, { timeout })
    const reply = await request(`${url}/api/house`)
    outcomes.push(`${reply.status} ${codeOf(reply)}`)
  }
  t.deepEqual(outcomes, ['504 upstream_timeout', '502 upstream_reset', '502 upstream_unreachable'])
})

test('a WebSocket handshake is answered, not left hanging', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end())
  house.server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  const { url } = await startGatewayFor(t, house.origin)
  const handshake = http.get(`${url}/api/house`, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  })
  const status = await new Promise((resolve, reject) => {
    handshake.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve(response.statusCode)
    })
    handshake.on('response', (response) => resolve(response.statusCode))
    handshake.on('error', reject)
  })
  t.is(status, 101)
})

test('a request that failed leaves nothing behind for the next one', async (t) => {
  const house = await scriptedUpstream(t, (socket, head) => {
    if (head.includes('/first')) socket.resetAndDestroy()
    else socket.write(good)
  })
  const { url, access } = await startGatewayFor(t, house.origin)
  await request(`${url}/api/house/first`, { method: 'POST' })
  await request(`${url}/api/house/second`)
  t.deepEqual(
    access.map(({ path, status }) => `${path} ${status}`),
    ['/api/house/first 502', '/api/house/second 200'],
  )
})

test('neither the start nor a request brings a deprecation (DEP0060: util._extend)', async (t) => {
  const house = await scriptedUpstream(t, good)
  const gateway = await startGatewayProcess(t, house.origin, {}, ['--throw-deprecation'])
  t.is((await request(`${gateway.url}/api/house`)).body, 'ok')
  t.is((await request(`${gateway.url}/livez`)).status, 200)
  t.is(gateway.process.errors(), '')
})
