import type { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { scriptedUpstream } from '../support/upstream.ts'

const good = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'

/** A house that answers `/bad` with these bytes and anything else well; nothing may hurt the second request. */
async function badHouse(t: ExecutionContext, bad: string | ((socket: Socket) => void)) {
  const house = await scriptedUpstream(t, (socket, head) => {
    if (!head.includes('/bad')) socket.write(good)
    else if (typeof bad === 'string') socket.write(bad, 'latin1')
    else bad(socket)
  })
  const gateway = await startGatewayFor(t, house.origin, { timeout: '2s' })
  return { ...gateway, house }
}

const relayed: Readonly<Record<string, readonly [bytes: string, status: number, body: string]>> = {
  'an unusual status': ['HTTP/1.1 299 Fine\r\nContent-Length: 2\r\n\r\nok', 299, 'ok'],
  'a status beyond the known classes': ['HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok', 999, 'ok'],
  'an empty reason phrase': ['HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok', 200, 'ok'],
  'no reason phrase at all': ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', 200, 'ok'],
  'a reason phrase beyond ASCII': [
    'HTTP/1.1 404 \xec\x97\x86\xec\x9d\x8c\r\nContent-Length: 2\r\n\r\nok',
    404,
    'ok',
  ],
  'a Trailer header with Content-Length': [
    'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nok',
    200,
    'ok',
  ],
  'trailers after chunks': [
    'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n',
    200,
    'ok',
  ],
  'chunk extensions': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0;c\r\n\r\n',
    200,
    'ok',
  ],
  'early hints before the reply': [
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    200,
    'ok',
  ],
  'several interim replies': [
    'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    200,
    'ok',
  ],
  'an HTTP/1.0 reply': ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 200, 'ok'],
}

for (const [name, [bytes, status, body]] of Object.entries(relayed)) {
  test(`${name}: the reply is relayed`, async (t) => {
    const { url } = await badHouse(t, bytes)
    const reply = await request(`${url}/api/house/bad`)
    t.is(reply.status, status)
    t.is(reply.body, body)
    t.is(reply.headers.trailer, undefined)
    t.is(reply.headers.link, undefined)
    t.is((await request(`${url}/api/house/good`)).body, 'good')
  })
}

test('a bad chunk in the middle of a reply breaks the reply off', async (t) => {
  const { port, access, url } = await badHouse(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\nmore\r\n0\r\n\r\n',
  )
  const client = await rawClient(t, port)
  client.send('GET /api/house/bad HTTP/1.1\r\nHost: x\r\n\r\n')
  const { text } = await client.ended()
  t.false(text.includes('0\r\n\r\n'))
  t.is(access[0]?.errorCode, 'upstream_bad_response')
  t.is((await request(`${url}/api/house/good`)).body, 'good')
})

test('bytes after the end of a reply are never taken for the next reply', async (t) => {
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
  const { url } = await badHouse(t, (socket) => {
    socket.write(good + evil)
    setImmediate(() => socket.write(evil))
  })
  for (let i = 0; i < 5; i += 1) {
    t.is((await request(`${url}/api/house/bad`)).body, 'good')
    t.is((await request(`${url}/api/house/next`)).body, 'good')
  }
})

test('the custom reason phrase of a house is relayed', async (t) => {
  const { url } = await badHouse(t, 'HTTP/1.1 200 Splendid Indeed\r\nContent-Length: 0\r\n\r\n')
  t.is((await request(`${url}/api/house/bad`)).reason, 'Splendid Indeed')
})
