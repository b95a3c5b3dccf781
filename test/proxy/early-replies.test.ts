import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { atMost } from '../support/figures.ts'
import { startGatewayFor } from '../support/gateway.ts'
import { type RawClient, rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { rawUpstream } from '../support/upstream.ts'

const tooLarge = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nX-House: yes\r\n\r\ntoo large'
const size = 2 ** 40

/** A house that answers as soon as the first bytes of a body have come, and goes on reading or does not. */
async function impatientHouse(t: ExecutionContext, reply: string, reads: boolean) {
  const seen = { requests: 0, bytes: 0 }
  const house = await rawUpstream(t, (socket) => {
    let isNew = true
    socket.on('end', () => socket.end())
    socket.on('data', (chunk) => {
      seen.bytes += chunk.length
      if (!isNew) return
      isNew = false
      seen.requests += 1
      if (!reads) socket.pause()
      socket.write(reply)
    })
  })
  return { ...(await startGatewayFor(t, house.origin)), house, seen }
}

/** Sends an endless body and takes no notice of anything that comes back. */
function keepWriting(client: RawClient): { readonly sent: () => number } {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let sent = 0
  const pump = () => {
    while (!client.socket.destroyed) {
      sent += chunk.length
      if (!client.socket.write(chunk)) {
        client.socket.once('drain', pump)
        return
      }
    }
  }
  client.send(`POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`)
  pump()
  return { sent: () => sent }
}

for (const reads of [true, false]) {
  test.serial(
    `a 413 in the middle of an upload reaches a client that goes on writing (house ${reads ? 'reads on' : 'stops reading'})`,
    async (t) => {
      const { port, house, seen, access } = await impatientHouse(t, tooLarge, reads)
      const client = await rawClient(t, port)
      keepWriting(client)
      const text = await client.receive('too large')
      t.regex(text, /^HTTP\/1\.1 413 Content Too Large\r\n/)
      t.regex(text, /connection: close\r\n/i)
      await until(() => access.length === 1, 'it is in the log')
      t.is(access[0]?.status, 413)
      t.is(access[0]?.errorCode, undefined)
      if (reads) await until(() => house.connections.open === 0, 'the connection to the house is closed')
      t.true(seen.bytes < 64 * 1024 * 1024, 'the upload to the house has stopped')
      t.is(seen.requests, 1)
    },
  )
}

test.serial('a client that writes first and reads later finds the early reply, not a reset', async (t) => {
  const { port, access } = await impatientHouse(t, tooLarge, true)
  const client = await rawClient(t, port)
  client.socket.pause()
  const upload = keepWriting(client)
  await until(() => access.length === 1, 'the house has answered')
  const before = upload.sent()
  await until(
    () => upload.sent() > before + 64 * 1024 * 1024,
    'what still comes is thrown away, not left lying',
  )
  client.socket.resume()
  t.regex(await client.receive('too large'), /^HTTP\/1\.1 413 /)
})

test.serial(
  'after an early reply the connection is over within seconds, whatever the client does',
  async (t) => {
    const { port } = await impatientHouse(t, tooLarge, true)
    const client = await rawClient(t, port, { allowHalfOpen: true })
    keepWriting(client)
    await client.receive('too large')
    const startedAt = performance.now()
    t.true((await client.ended()).reset)
    const took = performance.now() - startedAt
    t.true(took > 4000 && took < atMost(15_000), `took ${took} ms`)
  },
)

test.serial('a client that closes after an early reply leaves nothing behind', async (t) => {
  const { port, house, gateway } = await impatientHouse(t, tooLarge, true)
  const client = await rawClient(t, port)
  client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbeginning')
  await client.receive('too large')
  client.socket.end()
  t.false((await client.ended()).reset)
  await until(() => house.connections.open === 0, 'the house is let go')
  const startedAt = performance.now()
  await gateway.stop()
  t.true(performance.now() - startedAt < atMost(1500), 'nothing holds the shutdown up')
})

test.serial('an early reply with a long body comes whole though the upload goes on', async (t) => {
  const body = 'y'.repeat(3_000_000)
  const reply = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const { port } = await impatientHouse(t, reply, true)
  const client = await rawClient(t, port)
  keepWriting(client)
  const text = await client.receive(body)
  t.true(text.endsWith(body))
})

test.serial('a reply that comes after the upload keeps the connection open', async (t) => {
  let socket: Socket | undefined
  const house = await rawUpstream(t, (connection) => {
    socket = connection
    connection.on('data', (chunk) => {
      if (chunk.includes('the body')) connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const { port } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  for (let i = 1; i <= 3; i += 1) {
    client.send('POST /api/house HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nthe body')
    await until(() => client.received().split('\r\n\r\nok').length === i + 1, 'the reply')
  }
  t.notRegex(client.received(), /connection: close/i)
  t.is(house.connections.total, 1)
  t.false(socket?.destroyed)
})

test.serial('a reset in the middle of an upload is answered 502 while the client still writes', async (t) => {
  const house = await rawUpstream(t, (socket) => {
    let bytes = 0
    socket.on('data', (chunk) => {
      bytes += chunk.length
      if (bytes > 1_000_000) socket.resetAndDestroy()
    })
  })
  const { port, url } = await startGatewayFor(t, house.origin)
  const client = await rawClient(t, port)
  keepWriting(client)
  t.regex(await client.receive('upstream_reset'), /^HTTP\/1\.1 502 /)
  t.is(house.connections.total, 1)
  await delay(0)
  t.is((await request(`${url}/livez`)).status, 200)
})
