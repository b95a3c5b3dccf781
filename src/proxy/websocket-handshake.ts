import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { responseHeaders } from './headers.ts'

/**
 * Notices that a client hangs up during the handshake, though what it says is left unread for the house: the end
 * of a stream that nobody reads goes unnoticed.
 */
export function watchForHangUp(socket: Duplex, onHangUp: () => void): { ignore(): void } {
  const readAhead = () => {
    if (socket.readableLength === 0) socket.read()
  }
  socket.on('readable', readAhead)
  socket.once('end', onHangUp)
  socket.once('close', onHangUp)
  socket.on('error', noop)
  return {
    ignore() {
      socket.off('readable', readAhead)
      socket.off('end', onHangUp)
      socket.off('close', onHangUp)
    },
  }
}

/**
 * The head of the 101, as the client gets it.
 * @throws Error where the house switched to something else than was asked for
 */
export function switchingProtocols(status: number, headers: IncomingHttpHeaders, requestId: string): string {
  if (status !== 101 || headers.upgrade?.toLowerCase() !== 'websocket') throw new Error('bad upgrade')
  const { 'content-length': _, ...rest } = headers
  const lines = responseHeaders(rest, status, requestId)
  let head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  for (let i = 0; i < lines.length; i += 2) head += `${lines[i]}: ${lines[i + 1]}\r\n`
  return `${head}\r\n`
}

const noop = () => {}
