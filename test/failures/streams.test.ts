import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { atMost } from '../support/figures.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { inTurns } from '../support/in-turns.ts'
import { openSockets } from '../support/open-sockets.ts'
import { type RawClient, rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream, rawUpstream } from '../support/upstream.ts'
import { accepted, handshake } from '../support/websocket.ts'
import { row, scaled } from './row.ts'

/** However slow the machine: nobody is turned away for it. */
const calm = { OVERLOAD_DELAY: '0s' }

/** What a house does with a handshake, and what its client gets to see of it. */
const houses: Readonly<Record<string, readonly [act: (socket: Socket) => void, seen: RegExp | undefined]>> = {
  'refuses with 403': [
    (socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'),
    /^HTTP\/1\.1 403 [\s\S]*no$/,
  ],
  'refuses with 503 in chunks': [
    (socket) => socket.end('HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'),
    /^HTTP\/1\.1 503 [\s\S]*no\r\n0\r\n\r\n$/,
  ],
  'resets before 101': [(socket) => void socket.resetAndDestroy(), /^HTTP\/1\.1 502 [\s\S]*upstream_reset/],
  'closes before 101': [(socket) => void socket.end(), /^HTTP\/1\.1 502 [\s\S]*upstream_reset/],
  'breaks off within the head': [
    (socket) => void socket.end(accepted.slice(0, 30)),
    /^HTTP\/1\.1 502 [\s\S]*upstream_reset/,
  ],
  'switches to something else': [
    (socket) => socket.write(accepted.replace('websocket', 'h2c')),
    /^HTTP\/1\.1 502 [\s\S]*upstream_bad_response/,
  ],
  'answers what is no HTTP': [
    (socket) => socket.write('\x81\x05hello\r\n\r\n'),
    /^HTTP\/1\.1 502 [\s\S]*upstream_bad_response/,
  ],
  'is silent': [() => {}, /^HTTP\/1\.1 504 [\s\S]*upstream_timeout/],
  'is silent after 101': [(socket) => socket.write(accepted), /^HTTP\/1\.1 101 [\s\S]*\r\n\r\n$/],
  'ends its side after 101': [
    (socket) => void socket.end(`${accepted}last words`),
    /^HTTP\/1\.1 101 [\s\S]*last words$/,
  ],
  'resets after 101': [
    (socket) => void socket.write(accepted, () => setTimeout(() => socket.resetAndDestroy(), 20)),
    undefined,
  ],
  echoes: [
    (socket) => {
      socket.write(accepted)
      socket.on('data', (chunk) => socket.write(chunk))
    },
    undefined,
  ],
}

/** What a client does once it has sent its handshake. */
const clients: Readonly<Record<string, (client: RawClient) => void | Promise<void>>> = {
  waits: () => {},
  'ends its side at once': (client) => void client.socket.end(),
  'resets at once': (client) => void client.socket.resetAndDestroy(),
  async 'resets while bytes are on their way'(client) {
    client.send('\x82\x80'.repeat(1000))
    await delay(20)
    client.socket.resetAndDestroy()
  },
  async 'ends its side a moment later'(client) {
    await delay(20)
    client.socket.end('\x88\x80')
  },
}

row('websocket-ends', async (t, see) => {
  const acts = Object.values(houses)
  const house = await rawUpstream(t, (socket) => {
    socket.on('end', () => socket.end())
    socket.once('data', (chunk) => {
      const which = / \/(\d+)/.exec(chunk.toString('latin1'))?.[1]
      if (which === undefined) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      else acts[Number(which)]![0](socket)
    })
  })
  const gateway = await startGatewayProcess(t, house.origin, {
    ...calm,
    REQUEST_TIMEOUT: '3s',
    WEBSOCKET_IDLE_TIMEOUT: '1s',
  })
  const { process } = gateway
  await request(`${gateway.url}/api/house`)
  await until(() => house.connections.open === 0, 'the house is let go')
  const before = await openSockets(process.pid)

  const each = scaled(1, 20)
  const variants = Object.entries(houses).flatMap(([what, [, seen]], i) =>
    Object.entries(clients).flatMap(([how, act]) =>
      Array.from({ length: each }, () => ({
        what: `a house that ${what}, a client that ${how}`,
        i,
        seen,
        how,
        act,
      })),
    ),
  )
  await inTurns(variants, 60, async ({ what, i, seen, how, act }) => {
    const client = await rawClient(t, gateway.port)
    client.send(handshake(`/api/house/${i}`))
    await act(client)
    const { text } = await client.ended()
    if (how === 'waits' && seen !== undefined) t.regex(text, seen, what)
  })
  const lines = () => process.output().match(/^→ GET \/api\/house\/\d+ .*$/gm) ?? []
  // A reset may overtake the handshake, and then nobody ever hears of it.
  const heard = variants.filter(({ how }) => how !== 'resets at once').length
  await until(() => lines().length >= heard, 'every one that was heard has its line')
  await until(() => house.connections.open === 0, 'no connection is left at the house')
  await until(async () => (await openSockets(process.pid)) <= before, 'no socket is left')
  t.is((await request(`${gateway.url}/livez`)).status, 200)
  t.is(process.errors(), '')
  t.notRegex(process.output(), /^error: /m)
  see(
    `${variants.length} WebSockets that ended in ${Object.keys(houses).length * Object.keys(clients).length} ways: all closed on both sides, 0 sockets left open, 0 errors, the same process`,
  )
})

row('server-sent-events', async (t, see) => {
  const streams = scaled(10, 100)
  const events = scaled(10, 20)
  const open: ServerResponse[] = []
  const house = await httpUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    open.push(response)
  })
  const gateway = await startGatewayProcess(t, house.origin, calm)
  const first: number[] = []
  const later: number[] = []
  let alone = 0
  for (let i = 0; i < streams; i += 1) {
    const asked = http.get(`${gateway.url}/api/house`, { agent: false })
    // The head is here before any event is sent.
    const [response] = (await once(asked, 'response')) as [http.IncomingMessage]
    t.is(response.headers['content-type'], 'text/event-stream')
    for (let event = 0; event < events; event += 1) {
      const arrived = once(response, 'data')
      const sentAt = performance.now()
      open[i]!.write(`data: ${i}.${event}\n\n`)
      // The next one is sent only when this one is here: whatever is held back until there is more never comes.
      const [chunk] = await arrived
      ;(event === 0 ? first : later).push(performance.now() - sentAt)
      if (String(chunk) === `data: ${i}.${event}\n\n`) alone += 1
    }
    response.destroy()
  }
  t.is(alone, streams * events, 'each event came by itself')
  await until(() => house.connections.open === 0, 'the house is let go of every stream')
  const [median, largest] = [middle(first), Math.max(...first)]
  t.true(median < atMost(50), `median of first events: ${median} ms`)
  t.true(largest < atMost(50), `largest of first events: ${largest} ms`)
  see(
    `first event ${median.toFixed(1)} ms after it was sent (median of ${streams}, largest ${largest.toFixed(1)}), later ones ${middle(later).toFixed(1)} ms; each arrived before the next was sent`,
  )
})

const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!
