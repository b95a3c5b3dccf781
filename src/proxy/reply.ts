import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const smallBody = 8192

/** undici does not count it towards the size of a reply's head. */
const longestReason = 1000

/**
 * The last bytes of a reply and its end in one write. A small body that is here as a whole goes as a latin1
 * string, byte for byte the same: Node then sends it in one piece with the head, where a Buffer costs a second
 * one.
 */
export function endWith(outgoing: ServerResponse, chunk: Buffer, isWhole: boolean): void {
  if (isWhole && chunk.length <= smallBody) outgoing.end(chunk.toString('latin1'), 'latin1')
  else outgoing.end(chunk)
}

/**
 * Breaks off a reply that was begun, so that the client can tell: the connection is closed short of the
 * promised length or of the last chunk (RFC 9112 §8), and reset where a close would pass for the end (HTTP/1.0).
 *
 * @param reset true to reset in any case: a client that takes nothing would leave the kernel holding the rest
 */
export function breakOff(outgoing: ServerResponse, reset = false): void {
  const { socket } = outgoing
  // Pipelined: it is broken off when its turn comes. `outgoing.destroy()` would forget that.
  if (socket === null) outgoing.once('socket', (later: Socket) => later.destroy())
  else if (reset || !outgoing.useChunkedEncodingByDefault) socket.resetAndDestroy()
  else outgoing.destroy()
}

/**
 * The reason phrase to relay. Control characters have no place in one (RFC 9112 §4); letters beyond ASCII do,
 * but have lost their encoding by now: the status's own phrase takes their place.
 *
 * @throws Error where it holds control characters, or is no phrase but what another protocol would call a body
 */
export function reasonPhrase(received: string | undefined): string | undefined {
  if (received !== undefined && received.length > longestReason) throw new Error('bad reason phrase')
  if (!received || /^[\t\x20-\x7e]+$/.test(received)) return received || undefined
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(received)) throw new Error('bad reason phrase')
  return undefined
}
