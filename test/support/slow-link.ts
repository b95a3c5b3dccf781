import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { listenOnOwnPort } from './ports.ts'

/** A wire to a TCP server that may be long. */
export interface SlowLink {
  readonly port: number
  /** How much later everything that the server says arrives, from now on; what is on its way stays so. */
  latencyMs: number
}

/** Passes everything on in both directions, in its order. */
export async function startSlowLink(t: ExecutionContext, upstreamPort: number): Promise<SlowLink> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((client) => {
    const upstream = net.connect(upstreamPort, '127.0.0.1')
    const late = createLateness(() => link.latencyMs)
    const both = [client, upstream]
    for (const socket of both) {
      sockets.add(socket)
      socket.setNoDelay(true)
      // What one end does, the other hears; that it was cut off as well.
      socket.on('error', () => {})
    }
    client.on('data', (chunk: Buffer) => void upstream.write(chunk))
    upstream.on('data', (chunk: Buffer) => late(() => void client.write(chunk)))
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => late(() => void client.destroy()))
    for (const socket of both) socket.on('close', () => sockets.delete(socket))
  })
  const port = await listenOnOwnPort(server)
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const link = { port, latencyMs: 0 }
  return link
}

/** Runs what it is given later, and never before what it was given earlier. */
function createLateness(latencyMs: () => number): (run: () => void) => void {
  let last = Promise.resolve()
  return (run) => {
    const earlier = last
    last = delay(latencyMs(), undefined, { ref: false }).then(() => earlier.then(run))
  }
}
