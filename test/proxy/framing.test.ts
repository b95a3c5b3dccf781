import test, { type ExecutionContext } from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { keepAliveAgent, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream, scriptedUpstream } from '../support/upstream.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly body: string
}

/** A house that keeps a list of what it was asked, and says so. */
async function countingHouse(t: ExecutionContext) {
  const seen: Seen[] = []
  const house = await httpUpstream(t, async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray()).toString('latin1')
    seen.push({ method: incoming.method!, url: incoming.url!, body })
    response.end(`${incoming.method} ${incoming.url}`)
  })
  return { house, seen, ...(await startGatewayFor(t, house.origin)) }
}

test('an empty chunked body is framed so that the next request is not taken for it', async (t) => {
  const { port, seen } = await countingHouse(t)
  const client = await rawClient(t, port)
  for (const method of ['POST', 'DELETE', 'GET']) {
    client.send(`${method} /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`)
    await client.receive(`${method} /`)
  }
  t.deepEqual(
    seen.map(({ method, body }) => `${method}:${body}`),
    ['POST:', 'DELETE:', 'GET:'],
  )
})

test('pipelined requests are answered in order, though the first takes longest', async (t) => {
  const house = await httpUpstream(t, (incoming, response) => {
    const number = Number(incoming.url!.slice(1))
    setTimeout(() => response.end(`<${number}>`), (5 - number) * 30)
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send([1, 2, 3, 4, 5].map((i) => `GET /api/house/${i} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  const text = await client.receive('<5>')
  t.deepEqual(text.match(/<\d>/g), ['<1>', '<2>', '<3>', '<4>', '<5>'])
})

test('pipelined uploads and downloads do not run into each other', async (t) => {
  const house = await httpUpstream(t, async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray())
    response.setHeader('content-length', body.length).end(body)
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  const bodies = ['a'.repeat(200_000), 'b'.repeat(300_000), 'c'.repeat(100)]
  for (const body of bodies) {
    client.send(`POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  }
  client.send('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  const { text } = await client.ended()
  const [, ...received] = text.split(/HTTP\/1\.1 200 OK[\s\S]*?\r\n\r\n/)
  t.deepEqual(
    received.slice(0, 3).map((body) => `${body[0]} ${body.length}`),
    bodies.map((body) => `${body[0]} ${body.length}`),
  )
})

test('HEAD is answered with the length of the body and no body', async (t) => {
  const house = await httpUpstream(t, (_request, response) =>
    response.writeHead(200, { 'content-length': 5 }).end(),
  )
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('HEAD /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  const head = await client.receive('\r\n\r\n')
  t.regex(head, /content-length: 5\r\n/)
  client.send('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  t.regex((await client.ended()).text.slice(head.length), /^HTTP\/1\.1 200 OK/)
})

test('a house that sends a body with its answer to HEAD does not disturb the next request', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
  const { url } = await startGatewayFor(t, house.origin)
  const agent = keepAliveAgent(t)
  t.is((await request(`${url}/api/house`, { method: 'HEAD', agent })).body, '')
  t.is((await request(`${url}/api/house`, { agent })).body, 'evil')
})

for (const [status, head] of [
  [204, ''],
  [304, 'ETag: "a"\r\nContent-Length: 500\r\n'],
  [205, 'Content-Length: 0\r\n'],
] as const) {
  test(`${status} has no body, and the connection serves on`, async (t) => {
    const house = await scriptedUpstream(t, `HTTP/1.1 ${status} X\r\n${head}\r\n`)
    const { url, port } = await startGatewayFor(t, house.origin)
    const agent = keepAliveAgent(t)
    for (let i = 0; i < 3; i += 1) {
      const reply = await request(`${url}/api/house`, { agent })
      t.is(reply.status, status)
      t.is(reply.body, '')
      if (status === 304) t.is(reply.headers.etag, '"a"')
    }
    const client = await rawClient(t, port)
    client.send('GET /api/house HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    const { text } = await client.ended()
    t.true(text.endsWith('\r\n\r\n'))
    t.notRegex(text, /transfer-encoding/i)
  })
}

test('a 204 whose house claims a length loses that claim', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n')
  const { url } = await startGatewayFor(t, house.origin)
  t.is((await request(`${url}/api/house`)).headers['content-length'], undefined)
})

test('the bytes of a body are not touched, whatever they are and however it is framed', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const house = await httpUpstream(t, async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray())
    if (incoming.url === '/length') response.setHeader('content-length', body.length)
    else response.write(body.subarray(0, 1))
    response.end(incoming.url === '/length' ? body : body.subarray(1))
  })
  const { url } = await startGatewayFor(t, house.origin)
  for (const size of [1, 256, 8192, 8193, 100_000]) {
    const body = Buffer.alloc(size, bytes)
    for (const path of ['length', 'chunked']) {
      const reply = await request(`${url}/api/house/${path}`, { method: 'POST', body })
      t.is(reply.body, body.toString('latin1'))
    }
  }
})

test('a client that asks before it sends gets 100 Continue, and the house never hears of it', async (t) => {
  const house = await scriptedUpstream(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(
    'POST /api/house HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nX-User-Id: me\r\nContent-Length: 4\r\n\r\n',
  )
  await client.receive('HTTP/1.1 100 Continue\r\n\r\n')
  client.send('body')
  await client.receive(/HTTP\/1\.1 200 OK[\s\S]*ok/)
  t.is(house.requests.length, 1)
  t.notRegex(house.requests[0]!, /expect|x-user-id/i)
})

test('an expectation that nobody knows is not passed on', async (t) => {
  const house = await scriptedUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const { url } = await startGatewayFor(t, house.origin)
  await request(`${url}/api/house`, { headers: { expect: 'a miracle' } })
  t.notRegex(house.requests.join(''), /expect/i)
})

test('every POST reaches the house exactly once', async (t) => {
  const { url, seen } = await countingHouse(t)
  await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      request(`${url}/api/house/${i}`, { method: 'POST', body: `body ${i}` }),
    ),
  )
  await until(() => seen.length >= 100, 'all have come')
  t.is(seen.length, 100)
  t.is(new Set(seen.map(({ url: path, body }) => `${path} ${body}`)).size, 100)
})
