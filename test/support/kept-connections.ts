import { once } from 'node:events'
import net from 'node:net'
import type { ExecutionContext } from 'ava'
import { isWhole } from './open-loop.ts'

/** A connection that is kept, for one request after the other. */
export interface KeptConnection {
  readonly socket: net.Socket
  /** The status of one GET; rejects where the connection ends before the reply. */
  get(path: string): Promise<number>
}

/** Connects. */
export async function keptConnection(t: ExecutionContext, port: number): Promise<KeptConnection> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  let text = ''
  let answered = Promise.withResolvers<number>()
  answered.promise.catch(() => {})
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    if (isWhole(text)) answered.resolve(Number(text.slice(9, 12)))
  })
  socket.once('close', () => answered.reject(new Error(`closed after: ${text}`)))
  await once(socket, 'connect')
  return {
    socket,
    get(path) {
      text = ''
      if (!socket.destroyed) answered = Promise.withResolvers<number>()
      socket.write(`GET ${path} HTTP/1.1\r\nHost: gateway\r\n\r\n`)
      return answered.promise
    },
  }
}

/** Does something so many times, so many at once. */
export async function inParallel<Result>(
  count: number,
  atOnce: number,
  run: (index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const index = next++
        results[index] = await run(index)
      }
    }),
  )
  return results
}
