import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { ExecutionContext } from 'ava'
import { freePort, listenOnOwnPort } from './ports.ts'

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
  return `http://127.0.0.1:${await freePort()}`
}

export interface ScriptedUpstream extends TestUpstream {
  /** The head of every request that came, as latin1. */
  readonly requests: readonly string[]
}

/** A house on a bare socket that answers the head of each request with these very bytes, or as it is told. */
export async function scriptedUpstream(
  t: ExecutionContext,
  answer: string | ((socket: net.Socket, head: string, count: number) => void),
): Promise<ScriptedUpstream> {
  const requests: string[] = []
  const upstream = await rawUpstream(t, (socket) => {
    let text = ''
    socket.on('end', () => socket.end())
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 4)
        text = text.slice(end + 4)
        requests.push(head)
        if (typeof answer === 'string') socket.write(answer, 'latin1')
        else answer(socket, head, requests.length)
      }
    })
  })
  return Object.assign(upstream, { requests })
}

/** An address that takes no connection and refuses none: its queue of pending ones is full. */
export async function unresponsiveOrigin(t: ExecutionContext): Promise<string> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
    const server = require('node:net').createServer()
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port)
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
    })`,
    { eval: true },
  )
  t.teardown(() => worker.terminate())
  const [port] = (await once(worker, 'message')) as [number]
  for (let connected = true; connected; ) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    t.teardown(() => socket.destroy())
    connected = await Promise.race([once(socket, 'connect').then(() => true), delay(300).then(() => false)])
  }
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
  const port = await listenOnOwnPort(server)
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
