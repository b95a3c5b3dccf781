import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Long enough for a reply to cross the world and be noticed, short enough not to collect sockets. */
const lingerMs = 5000

/**
 * For a reply that is sent before the request's body has been read, and closes the connection: closes only the
 * sending half and throws away what still comes for a moment, because closing with unread bytes makes the kernel
 * send a reset, and a client that is busy sending may then never see the reply (RFC 9112 §9.6).
 */
export function lingerAfterReply(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = response
  if (socket === null) return
  // What node:http calls once a reply with `Connection: close` has been handed to the kernel.
  socket.destroySoon = () => {
    endAndLinger(socket)
    // A listener rather than resume(): it takes effect even after somebody who was reading lets go.
    if (!socket.destroyed) request.on('data', discard)
  }
}

/** Closes the sending half, and the whole once the client has closed as well or a moment has passed. */
export function endAndLinger(socket: Duplex, lastWords = ''): void {
  if (socket.destroyed) return
  socket.end(lastWords)
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref()
  socket.once('close', () => clearTimeout(timer))
}

const discard = () => {}
