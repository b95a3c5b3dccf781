import type { Socket } from 'node:net'
import test from 'ava'
import { startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { scriptedUpstream } from '../support/upstream.ts'

/** By path: each way that a house can go wrong. */
const misdeeds: Readonly<Record<string, (socket: Socket) => void>> = {
  '/reset': (socket) => socket.resetAndDestroy(),
  '/close': (socket) => socket.end(),
  '/garbage': (socket) => socket.write('garbage\r\n\r\n'),
  '/status': (socket) => socket.write('HTTP/1.1 000 X\r\n\r\n'),
  '/reason': (socket) => socket.write('HTTP/1.1 200 \x01\r\nContent-Length: 0\r\n\r\n'),
  '/trailer': (socket) => socket.write('HTTP/1.1 200 OK\r\nTrailer: a\r\nContent-Length: 0\r\n\r\n'),
  '/upgrade': (socket) => socket.write('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
  '/cut': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n', () =>
      socket.resetAndDestroy(),
    )
  },
  '/early': (socket) => socket.write('HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n'),
  '/silence': () => {},
}

test('nothing that houses or clients do is ever an unhandled rejection, an uncaught exception or a warning', async (t) => {
  const seen: string[] = []
  for (const event of ['unhandledRejection', 'uncaughtException', 'warning'] as const) {
    const listener = (error: unknown) => void seen.push(`${event}: ${error}`)
    process.on(event, listener)
    t.teardown(() => process.off(event, listener))
  }
  const house = await scriptedUpstream(t, (socket, head) => {
    const path = / (\/\w+)/.exec(head)?.[1] ?? ''
    misdeeds[path]?.(socket)
  })
  const { url, port, lines, gateway } = await startGatewayFor(
    t,
    house.origin,
    { timeout: '300ms' },
    { IDLE_TIMEOUT: '300ms' },
  )
  await Promise.all(
    Object.keys(misdeeds).flatMap((path) => [
      request(`${url}/api/house${path}`).catch(() => {}),
      request(`${url}/api/house${path}`, { method: 'POST', body: 'x'.repeat(100_000) }).catch(() => {}),
      request(`${url}/api/house${path}`, { method: 'HEAD' }).catch(() => {}),
    ]),
  )
  for (const path of Object.keys(misdeeds)) {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const client = await rawClient(t, port)
      client.send(`POST /api/house${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbeginning`)
      await new Promise((resolve) => setImmediate(resolve))
      client.socket[leave]()
    }
  }
  t.is((await request(`${url}/livez`)).status, 200)
  await gateway.stop()
  t.deepEqual(seen, [])
  t.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  )
})
