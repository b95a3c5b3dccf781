import type { ServerResponse } from 'node:http'
import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { atMost } from '../support/figures.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { httpUpstream, rawUpstream } from '../support/upstream.ts'

test('the head of an event stream arrives before its first event', async (t) => {
  let stream: ServerResponse | undefined
  const house = await httpUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    stream = response
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n')
  const head = await client.receive('\r\n\r\n')
  t.regex(head, /content-type: text\/event-stream\r\n/)
  t.true(head.endsWith('\r\n\r\n'), 'nothing but the head')
  stream!.write('data: first\n\n')
  t.true((await client.receive('data: first')).includes('data: first'))
})

test('an event reaches the client within 50 ms of the house sending it', async (t) => {
  const house = await httpUpstream(t, async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let i = 0; i < 4; i += 1) {
      response.write(`data: ${performance.now()}\n\n`)
      await delay(15)
    }
    response.end()
  })
  const { url } = await startGatewayFor(t, house.origin)
  // A busy machine delays one or another; buffering would delay them all.
  const first: number[] = []
  const later: number[] = []
  for (let stream = 0; stream < 9; stream += 1) {
    const [one, ...others] = await latencies(`${url}/api/house`)
    first.push(one!)
    later.push(...others)
  }
  t.log(`median of first events ${median(first).toFixed(2)} ms, of later ones ${median(later).toFixed(2)} ms`)
  t.is(later.length, 27, 'each event came by itself')
  t.true(median(first) < atMost(50))
  t.true(median(later) < atMost(15))
})

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Milliseconds from the house writing each event to the client reading it. */
async function latencies(url: string): Promise<readonly number[]> {
  const found: number[] = []
  const response = await new Promise<http.IncomingMessage>((resolve) =>
    http.get(url, { agent: false }, resolve),
  )
  for await (const chunk of response) {
    const now = performance.now()
    for (const [, sentAt] of String(chunk).matchAll(/data: ([\d.]+)/g)) found.push(now - Number(sentAt))
  }
  return found
}

test('an upload reaches the house piece by piece', async (t) => {
  let received = ''
  const house = await rawUpstream(t, (socket) => {
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (const piece of ['one', 'two', 'six']) {
    client.send(`3\r\n${piece}\r\n`)
    await until(() => received.includes(piece), `${piece} has come to the house`)
  }
  t.false(received.includes('0\r\n\r\n'))
})

test('a house may answer while the upload is still going on, both ways at once', async (t) => {
  const house = await httpUpstream(t, (incoming, response) => {
    incoming.on('data', (chunk) => response.write(`echo ${chunk}\n`))
    incoming.on('end', () => response.end('over'))
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (const piece of ['one', 'two']) {
    client.send(`3\r\n${piece}\r\n`)
    await client.receive(`echo ${piece}`)
  }
  client.send('0\r\n\r\n')
  await client.receive('over')
  t.true((await client.ended()).text.endsWith('0\r\n\r\n'))
})
