import { once } from 'node:events'
import net from 'node:net'
import type { ExecutionContext } from 'ava'

export interface RawClient {
  readonly socket: net.Socket
  /** Everything received so far, as latin1. */
  readonly received: () => string
  send(text: string | Buffer): void
  /** Resolves once what was received contains this. */
  receive(text: string | RegExp): Promise<string>
  /** Resolves with everything once the connection is over, and how it ended. */
  ended(): Promise<{ readonly text: string; readonly reset: boolean }>
}

/** A client on a bare socket, for what no HTTP library would send, and to see the very bytes that come back. */
export async function rawClient(
  t: ExecutionContext,
  port: number,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<RawClient> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, ...options })
  let text = ''
  let reset = false
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    socket.emit('text')
  })
  socket.on('error', () => {
    reset = true
  })
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await once(socket, 'connect')
  t.teardown(() => socket.destroy())
  const has = (wanted: string | RegExp) =>
    typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text)
  return {
    socket,
    received: () => text,
    send: (bytes) => void socket.write(bytes, 'latin1' as BufferEncoding),
    async receive(wanted) {
      const gone = over.then(() => {
        if (!has(wanted)) throw new Error(`the connection closed before ${wanted} came; received: ${text}`)
      })
      while (!has(wanted)) await Promise.race([once(socket, 'text'), gone])
      return text
    },
    async ended() {
      await over
      return { text, reset }
    },
  }
}
