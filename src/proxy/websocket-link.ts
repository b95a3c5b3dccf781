import type { Socket } from 'node:net'

/** Two connections joined byte by byte. */
export interface WebSocketLink {
  /** Ends both sides; each gets a moment to close as well. */
  close(): void
}

export interface WebSocketLinkOptions {
  /** What the client sent right behind the handshake. */
  readonly head: Buffer
  /** After this long without a byte either way both sides are closed. */
  readonly idleTimeoutMs: number
  /** After one side has closed, the other is cut once nothing has moved on it for this long. */
  readonly halfClosedMs: number
  /** Both sides are closed. */
  readonly onClosed: () => void
}

/**
 * Joins two connections until both are closed. The end of one side is passed on to the other, behind the bytes
 * that came before it; what breaks on one side breaks both.
 */
export function linkSockets(client: Socket, house: Socket, options: WebSocketLinkOptions): WebSocketLink {
  const { head, idleTimeoutMs, halfClosedMs, onClosed } = options
  const sides = [client, house] as const
  let ending = false
  let closed = 0

  function destroy(): void {
    for (const side of sides) side.destroy()
  }

  function beginToEnd(): void {
    if (ending) return
    ending = true
    // A clock that bytes on their way wind up again: a slow reader still gets what it was sent.
    for (const side of sides) side.setTimeout(halfClosedMs)
  }

  function close(): void {
    beginToEnd()
    client.unpipe(house)
    house.unpipe(client)
    for (const side of sides) side.resume().end()
  }

  function onClose(other: Socket, hadError: boolean): void {
    closed += 1
    if (closed === sides.length) onClosed()
    else if (hadError) other.destroy()
    else {
      beginToEnd()
      // Nobody is left to take what it says; reading on is what notices that it closes.
      other.resume().end()
    }
  }

  for (const [side, other] of [sides, sides.toReversed() as [Socket, Socket]]) {
    side.setNoDelay(true)
    // A vanished peer is found out though nobody speaks.
    side.setKeepAlive(true, 30_000)
    // node:http's own listener would destroy the connection.
    side.removeAllListeners('timeout')
    side.setTimeout(idleTimeoutMs)
    side.on('timeout', () => (ending ? destroy() : close()))
    side.on('error', destroy)
    side.once('end', beginToEnd)
    side.once('close', (hadError) => onClose(other, hadError))
  }
  if (head.length > 0) house.write(head)
  client.pipe(house)
  house.pipe(client)
  return { close }
}
