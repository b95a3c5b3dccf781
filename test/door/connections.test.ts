import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import { createConnections } from '../../src/door/connections.ts'
import { calmTest as test } from '../support/calm.ts'
import { rawClient } from '../support/raw-client.ts'
import { patienceMs } from '../support/until.ts'

const ask = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** A server that answers `ok`, and one client with a connection on which one reply has come. */
async function start(t: ExecutionContext) {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (_request, response) => response.end('ok'))
  const connections = createConnections(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => connections.close(AbortSignal.abort()))
  const { port } = server.address() as AddressInfo
  const client = await rawClient(t, port)
  client.send(ask)
  await client.receive('ok')
  return { server, connections, client, port }
}

/** The event loop stands still. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

test('a request that has come before an idle connection is closed is served, though the process was busy', async (t) => {
  const { server, connections, client } = await start(t)
  const closing = connections.close(AbortSignal.timeout(patienceMs))
  while (server.listening) await new Promise(setImmediate)
  client.send(ask)
  stall(300)
  await client.receive(/ok(?:.|\s)*ok/)
  await closing
  t.false((await client.ended()).reset)
})

test('connections that were made before the server takes no more are served, though the process was busy', async (t) => {
  const { connections, port } = await start(t)
  const clients = Array.from({ length: 20 }, () => rawClient(t, port))
  // They are made by the kernel at once; the server hears of them when its turn comes.
  const closing = connections.close(AbortSignal.timeout(patienceMs))
  for (const client of await Promise.all(clients)) {
    client.send(ask)
    await client.receive('ok')
  }
  await closing
  t.pass()
})

test('an idle connection that is to be spared stays open for longer than replies have promised', async (t) => {
  const { connections, client } = await start(t)
  connections.watch(true)
  const startedAt = performance.now()
  const closing = connections.close(AbortSignal.timeout(patienceMs))
  const closedAt = client.ended().then(() => performance.now())
  await closing
  const keptMs = (await closedAt) - startedAt
  t.true(keptMs > 5500, `closed after ${keptMs} ms`)
})

test('what is left when the time is over is cut', async (t) => {
  const { connections, client } = await start(t)
  connections.watch(true)
  await connections.close(AbortSignal.timeout(100))
  await client.ended()
  t.pass()
})
