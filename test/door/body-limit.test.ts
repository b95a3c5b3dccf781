import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, keepAliveAgent, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

const limit = 1024
const env = { BODY_LIMIT: '1kb' }

/** A house that reads everything, and says how much it was, or that it was cut off. */
async function limited(t: ExecutionContext, settings: Record<string, string> = env) {
  const seen = { requests: 0, bytes: 0, cutOff: 0 }
  const house = await httpUpstream(t, (incoming, response) => {
    seen.requests += 1
    let length = 0
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length
      seen.bytes += chunk.length
    })
    incoming.on('end', () => response.end(String(length)))
    incoming.on('error', () => {
      seen.cutOff += 1
      house.server.emit('cut off')
    })
  })
  const cutOff = () => once(house.server, 'cut off')
  return { ...(await startGatewayFor(t, house.origin, {}, settings)), house, seen, cutOff }
}

const post = (body: string, chunked: boolean) => ({
  method: 'POST',
  headers: chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(body.length) },
  body,
})

for (const chunked of [false, true]) {
  const framing = chunked ? 'in chunks' : 'with a length'

  test(`a body ${framing} of exactly the limit passes`, async (t) => {
    const { url } = await limited(t)
    const reply = await request(`${url}/api/house`, post('x'.repeat(limit), chunked))
    t.is(reply.status, 200)
    t.is(reply.body, String(limit))
  })

  test(`a body ${framing} of one byte more is a 413`, async (t) => {
    const { url, access } = await limited(t)
    const reply = await request(`${url}/api/house`, post('x'.repeat(limit + 1), chunked))
    t.is(reply.status, 413)
    t.is(codeOf(reply), 'payload_too_large')
    t.is(reply.headers.connection, 'close')
    t.like(access[0], { status: 413, errorCode: 'payload_too_large' })
  })
}

test('a length above the limit is refused before the house hears of it, and before a byte of the body', async (t) => {
  const { port, house, seen } = await limited(t)
  const client = await rawClient(t, port)
  client.send(`POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: ${2 ** 30}\r\n\r\n`)
  t.true((await client.receive('payload_too_large')).startsWith('HTTP/1.1 413'))
  t.is(house.connections.total, 0)
  t.is(seen.requests, 0)
})

test('a client that asks first is not told to go on with too large a body', async (t) => {
  const { port, house } = await limited(t)
  const client = await rawClient(t, port)
  client.send(
    `POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: ${limit + 1}\r\nExpect: 100-continue\r\n\r\n`,
  )
  const text = await client.receive('payload_too_large')
  t.true(text.startsWith('HTTP/1.1 413'))
  t.is(house.connections.total, 0)
})

test('a client that asks first is told to go on with a body within the limit', async (t) => {
  const { port } = await limited(t)
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
  await client.receive('HTTP/1.1 100 Continue\r\n\r\n')
  client.send('hello')
  t.regex(await client.receive('HTTP/1.1 200 OK'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
})

test('an endless body in chunks is cut off on both sides, and never kept', async (t) => {
  const { port, seen, cutOff } = await limited(t)
  const isCutOff = cutOff()
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  client.send('5\r\nhello\r\n')
  await until(() => seen.requests === 1, 'the house has begun to read')
  const chunk = Buffer.from(`8000\r\n${'x'.repeat(0x8000)}\r\n`)
  const pump = () => {
    while (!client.socket.destroyed && client.socket.write(chunk));
    if (!client.socket.destroyed) client.socket.once('drain', pump)
  }
  pump()
  t.true((await client.receive('payload_too_large')).startsWith('HTTP/1.1 413'))
  await isCutOff
  await client.ended()
  t.true(seen.bytes <= limit)
  t.is(seen.requests, 1)
})

test('a body that grows too large while the house already answers breaks the reply off', async (t) => {
  const house = await httpUpstream(t, (incoming, response) => {
    incoming.once('data', () => response.write('so far so good'))
    incoming.on('error', () => {})
  })
  const { port } = await startGatewayFor(t, house.origin, {}, env)
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  await client.receive('so far so good')
  client.send(`800\r\n${'x'.repeat(0x800)}\r\n0\r\n\r\n`)
  const { text } = await client.ended()
  t.false(text.endsWith('0\r\n\r\n'))
  t.false(text.includes('payload_too_large'))
})

test('what was too large is nobody else’s trouble: the instance is used on, and not ejected', async (t) => {
  const { url, port, seen } = await limited(t)
  for (let i = 0; i < 8; i++) {
    const client = await rawClient(t, port)
    client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await until(() => seen.requests === i + 1, 'the house has begun to read')
    client.send(`400\r\n${'x'.repeat(0x400)}\r\n0\r\n\r\n`)
    await client.receive('payload_too_large')
  }
  t.is((await request(`${url}/api/house`, post('hello', true))).body, '5')
  t.is(seen.requests, 9)
})

test('requests without a body, and the next ones on the same connection, are not concerned', async (t) => {
  const { url } = await limited(t)
  const agent = keepAliveAgent(t)
  for (let i = 0; i < 3; i++) {
    t.is((await request(`${url}/api/house`, { agent })).status, 200)
    t.is((await request(`${url}/api/house`, { ...post('hello', i % 2 === 0), agent })).body, '5')
  }
})

test('without a limit a large body passes', async (t) => {
  const { url } = await limited(t, {})
  const body = 'x'.repeat(4 * 1024 * 1024)
  t.is((await request(`${url}/api/house`, post(body, true))).body, String(body.length))
})
