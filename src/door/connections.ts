import type http from 'node:http'
import net, { type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * What replies say of how long an idle connection is kept (`Keep-Alive: timeout=5`, Node's own default). Clients that
 * heed it (undici, Node's agent, Apache's) close first. While the gateway runs it keeps connections far longer.
 */
export const promisedIdleMs = 5000

/** Beyond the promise: a client that closes exactly then is still on its way (Node's own buffer is as much). */
const graceMs = 1000

/** While draining, connections are looked at this often. */
const sweepMs = 100

/** Beyond that many turns of the event loop somebody connects without end. */
const mostTurns = 1000

export interface Connections {
  /**
   * From now on it is noted since when connections are silent, and `close` leaves them open until they have been so for
   * longer than replies have promised. Where nobody is to be spared, or this was not called, it ends idle ones at once.
   */
  watch(spare: boolean): void
  /** Takes no more connections and resolves when the last one is over; cuts what is left when `signal` aborts. */
  close(signal: AbortSignal): Promise<void>
}

interface Silence {
  bytesRead: number
  /** Milliseconds, monotonic. */
  since: number
}

/**
 * The connections of an HTTP server, and how they end when it leaves: as late and as safely as can be.
 * @param acceptTurn a turn of the event loop that takes connections, where that is not ours (workers/accept-turns.ts)
 */
export function createConnections(
  server: http.Server,
  acceptTurn: () => Promise<void> = nextTurn,
): Connections {
  const sockets = new Set<Socket>()
  /** A WebSocket is no idle connection: whoever took it over ends it. */
  const upgraded = new WeakSet<Duplex>()
  const silences = new Map<Socket, Silence>()
  let sparing = false
  let accepted = 0
  let closing = false
  let sweeping: NodeJS.Timeout | undefined
  let ending = false

  server.on('connection', (socket) => {
    accepted += 1
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      silences.delete(socket)
    })
  })
  server.on('upgrade', (_request, socket) => upgraded.add(socket))

  /** Nothing is being answered on it, and nothing has come since it was last looked at. */
  function isSilent(socket: Socket, { bytesRead }: Silence): boolean {
    return socket.bytesRead === bytesRead && inFlight(socket) === undefined
  }

  function sweep(): void {
    if (sparing) noteSilences()
    else if (closing) void endIdle()
  }

  function noteSilences(): void {
    const now = performance.now()
    const due: [Socket, Silence][] = []
    for (const socket of sockets) {
      if (upgraded.has(socket) || !socket.writable) continue
      const silence = silences.get(socket)
      if (silence === undefined || !isSilent(socket, silence)) {
        silences.set(socket, { bytesRead: socket.bytesRead, since: now })
      } else if (closing && now - silence.since > promisedIdleMs + graceMs) due.push([socket, silence])
    }
    if (due.length > 0 && !ending) void end(due)
  }

  /**
   * One connection in each turn of the event loop, right after it has read what has come on any of them: what has
   * reached this machine is then served, however busy the process is, and only a request that is still on the wire
   * can be lost. Not half-closed first: its request would be read, and forwarded, and could not be answered.
   */
  async function end(due: readonly (readonly [Socket, Silence])[]): Promise<void> {
    ending = true
    for (const [socket, silence] of due) {
      await nextTurn()
      if (isSilent(socket, silence)) socket.destroy()
    }
    ending = false
  }

  async function endIdle(): Promise<void> {
    await nextTurn()
    server.closeIdleConnections()
    // Those on which nobody has said anything yet are none of them.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  function watch(): void {
    if (sweeping !== undefined) return
    sweeping = setInterval(sweep, sweepMs)
    sweep()
  }

  return {
    watch(spare) {
      sparing = spare
      watch()
    },
    async close(signal) {
      watch()
      // Connections that the kernel has made already are taken first: closing would reset them. It may hand over one
      // in each turn, and the first turn may end without its being asked.
      const overdue = new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      for (let turn = 0, quiet = 0; turn < mostTurns && quiet < 2 && !signal.aborted; turn += 1) {
        const before = accepted
        await Promise.race([acceptTurn(), overdue])
        quiet = accepted === before ? quiet + 1 : 0
      }
      closing = true
      // Not http.Server's own close, which cuts idle connections at once: a request may be on its way on them,
      // and its reply will say `Connection: close`. Nor does it see connections that became WebSockets.
      const closed = new Promise((resolve) => net.Server.prototype.close.call(server, resolve))
      const cut = () => {
        for (const socket of sockets) socket.destroy()
      }
      signal.addEventListener('abort', cut, { once: true })
      if (signal.aborted) cut()
      await closed
      signal.removeEventListener('abort', cut)
      clearInterval(sweeping)
      // Ends Node's own timer for slow headers.
      server.close()
    },
  }
}

/** The reply that is being written on a connection; Node has no public name for it. */
export function inFlight(socket: Duplex): http.ServerResponse | undefined {
  return (socket as Duplex & { _httpMessage?: http.ServerResponse | null })._httpMessage ?? undefined
}
