import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'

export interface TestUpstream {
  readonly origin: string
  readonly port: number
  /** Connections that were ever made, and those open now. */
  readonly connections: { readonly total: number; readonly open: number }
  close(): Promise<void>
}

/** A house on node:http. */
export async function httpUpstream(
  t: ExecutionContext,
  handler: http.RequestListener,
): Promise<TestUpstream & { readonly server: http.Server }> {
  const server = http.createServer({ keepAliveTimeout: 30_000, requestTimeout: 0 }, handler)
  return Object.assign(await listening(t, server), { server })
}

/** A house on a bare socket, for what no HTTP library would do. */
export function rawUpstream(
  t: ExecutionContext,
  handler: (socket: net.Socket) => void,
): Promise<TestUpstream> {
  return listening(
    t,
    net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      handler(socket)
    }),
  )
}

/** An address where nobody listens: connections are refused. */
export async function deadOrigin(): Promise<string> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}

async function listening(t: ExecutionContext, server: net.Server): Promise<TestUpstream> {
  const sockets = new Set<net.Socket>()
  const connections = {
    total: 0,
    get open() {
      return sockets.size
    },
  }
  server.on('connection', (socket) => {
    connections.total += 1
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  async function close(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  t.teardown(close)
  return { origin: `http://127.0.0.1:${port}`, port, connections, close }
}
