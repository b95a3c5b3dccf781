import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { calmTest as test } from '../support/calm.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { httpUpstream, rawUpstream, scriptedUpstream } from '../support/upstream.ts'

const megabyte = 1024 * 1024
/** What the kernel's buffers of two connections may hold, and then some. */
const bound = 40 * megabyte

/** A house that sends 200 MB as fast as it is let. */
async function firehose(t: ExecutionContext, head: Readonly<Record<string, string>> = {}) {
  const written = { bytes: 0, finished: false }
  const house = await httpUpstream(t, async (_request, response) => {
    response.on('finish', () => {
      written.finished = true
    })
    const closed = once(response, 'close')
    response.writeHead(200, head)
    const chunk = Buffer.alloc(megabyte, 'x')
    for (let i = 0; i < 200 && !response.destroyed; i += 1) {
      written.bytes += chunk.length
      if (!response.write(chunk)) await Promise.race([once(response, 'drain'), closed])
    }
    response.end()
  })
  return { house, written }
}

async function settled(value: () => number): Promise<number> {
  for (let last = -1; last !== value(); await delay(150)) last = value()
  return value()
}

test('a client that stops reading holds the house back, and gets everything once it reads on', async (t) => {
  const { house, written } = await firehose(t)
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  client.socket.pause()
  let read = 0
  client.socket.removeAllListeners('data')
  await until(() => written.bytes > 0, 'the house has begun')
  const held = await settled(() => written.bytes)
  t.true(held < bound, `the house wrote ${held} bytes`)
  client.socket.on('data', (chunk: Buffer) => {
    read += chunk.length
  })
  client.socket.resume()
  await client.ended()
  t.true(written.finished)
  t.true(read > 200 * megabyte)
})

for (const [name, head] of Object.entries({
  'a chunked reply': {},
  'a reply with a length': { 'content-length': String(200 * megabyte) },
})) {
  test(`a client that stops reading ${name} is cut after IDLE_TIMEOUT, and the house is let go`, async (t) => {
    const { house, written } = await firehose(t, head)
    const { port, access } = await startGatewayFor(t, house.origin, {}, { IDLE_TIMEOUT: '400ms' })
    const client = await rawClient(t, port)
    client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
    client.socket.pause()
    await until(() => access.length === 1, 'the exchange is over')
    t.is(access[0]?.errorCode, 'request_timeout')
    t.true(written.bytes < bound)
    await until(() => house.connections.open === 0, 'the house is let go')
    client.socket.resume()
    t.true((await client.ended()).reset)
  })
}

test('a client that does not take the end of a reply is cut too, though the house has said everything', async (t) => {
  const size = 16 * megabyte
  const house = await rawUpstream(t, (socket) => {
    socket.once('data', () => {
      socket.end(
        Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'), Buffer.alloc(size)]),
      )
    })
  })
  const { port, access } = await startGatewayFor(t, house.origin, {}, { IDLE_TIMEOUT: '500ms' })
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  client.socket.pause()
  await until(() => access.length === 1, 'the exchange is over')
  t.is(access[0]?.errorCode, 'request_timeout')
  client.socket.resume()
  t.true((await client.ended()).reset)
})

test('a house that has closed while it was held back is heard to its end', async (t) => {
  const warnings: string[] = []
  const onWarning = (warning: Error) => void warnings.push(warning.name)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const piece = 'x'.repeat(100)
  const body = `${`64\r\n${piece}\r\n`.repeat(1000)}0\r\n\r\n`
  const answerFirst: (() => void)[] = []
  const house = await scriptedUpstream(t, (socket, head) => {
    if (head.includes('/first')) {
      answerFirst.push(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst'))
    } else socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${body}`)
  })
  const { port, url } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  // The second reply waits for its turn in the gateway, which takes in no more of it than a little.
  client.send('GET /api/house/first HTTP/1.1\r\nHost: x\r\n\r\n')
  client.send('GET /api/house/second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await until(() => house.requests.length === 2, 'both have come')
  for (let i = 0; i < 5; i += 1) await fetch(`${url}/livez`)
  answerFirst[0]!()
  const { text } = await client.ended()
  t.is(text.split(piece).length - 1, 1000)
  t.true(text.endsWith('0\r\n\r\n'))
  t.deepEqual(warnings, [])
})

test('a house that stops reading holds the client back', async (t) => {
  const house = await rawUpstream(t, (socket) => void socket.pause())
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send(`POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: ${200 * megabyte}\r\n\r\n`)
  const chunk = Buffer.alloc(megabyte)
  let taken = 0
  const pump = () => {
    while (taken < 200 * megabyte && client.socket.write(chunk)) taken += chunk.length
    client.socket.once('drain', () => {
      taken += chunk.length
      pump()
    })
  }
  pump()
  await until(() => house.connections.open === 1, 'the upload has begun')
  t.true((await settled(() => taken)) < bound)
})
