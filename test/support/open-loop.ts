import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'

export interface OpenLoopOptions {
  readonly port: number
  readonly path: string
  /** Requests a second, due whether or not those before were answered. */
  readonly rate: number
  readonly seconds: number
  /** Kept open from the start; a request that finds all of them busy waits with its clock running. */
  readonly connections: number
}

/** Milliseconds that replies took, by their status. */
export interface OpenLoopResult {
  readonly latencies: ReadonlyMap<number, readonly number[]>
  /** Requests that were due and not answered. */
  readonly lost: number
}

/** Load that does not wait for the server, and ends when its time is over, answered or not. */
export async function openLoop(t: ExecutionContext, options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { port, path, rate, seconds, connections } = options
  const bytes = `GET ${path} HTTP/1.1\r\nHost: gateway\r\n\r\n`
  const latencies = new Map<number, number[]>()
  const waiting: number[] = []
  const idle: Connection[] = []
  let answered = 0
  let sent = 0

  function send(connection: Connection, dueMs: number): void {
    connection.dueMs = dueMs
    connection.text = ''
    connection.socket.write(bytes)
  }

  function read(connection: Connection, chunk: Buffer): void {
    connection.text += chunk.toString('latin1')
    if (!isWhole(connection.text)) return
    const status = Number(connection.text.slice(9, 12))
    const took = performance.now() - connection.dueMs
    const others = latencies.get(status)
    if (others === undefined) latencies.set(status, [took])
    else others.push(took)
    answered += 1
    const next = waiting.shift()
    if (next === undefined) idle.push(connection)
    else send(connection, next)
  }

  for (let i = 0; i < connections; i++) {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    t.teardown(() => socket.destroy())
    const connection = { socket, dueMs: 0, text: '' }
    socket.on('error', () => {})
    socket.on('data', (chunk) => read(connection, chunk))
    await once(socket, 'connect')
    idle.push(connection)
  }
  const startedAt = performance.now()
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - startedAt) {
    for (; sent < (elapsed / 1000) * rate; sent++) {
      const due = startedAt + (sent / rate) * 1000
      const connection = idle.pop()
      if (connection === undefined) waiting.push(due)
      else send(connection, due)
    }
    await delay(2)
  }
  return { latencies, lost: sent - answered }
}

interface Connection {
  readonly socket: net.Socket
  dueMs: number
  text: string
}

/** Whether a reply has come to its end: by its length, or its last chunk. */
export function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1]
  return length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + Number(length)
}

/** The value that this share of them does not exceed; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)] ?? 0
}
