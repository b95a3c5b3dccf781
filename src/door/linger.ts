import type { ServerResponse } from 'node:http'

/** Long enough for a reply to cross the world, short enough not to collect sockets. */
const lingerMs = 2000

/**
 * For a reply that is sent before the request's body has been read, and closes the connection: keeps the
 * connection half-closed for a moment, because closing it with unread bytes makes the kernel send a reset, and
 * the client may then never see the reply (RFC 9112 §9.6).
 */
export function lingerAfterReply(response: ServerResponse): void {
  const { socket } = response
  if (socket === null) return
  // What node:http calls once a reply with `Connection: close` has been handed to the kernel.
  socket.destroySoon = () => {
    if (socket.destroyed) return
    socket.end()
    const timer = setTimeout(() => socket.destroy(), lingerMs).unref()
    socket.once('close', () => clearTimeout(timer))
  }
}
