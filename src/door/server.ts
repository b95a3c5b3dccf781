import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import { problemMediaType, toProblem } from './problem.ts'
import { requestId } from './request-id.ts'

export interface DoorServer {
  /** Resolves with the address once connections are taken; rejects where that cannot be. */
  listen(port: number, host: string): Promise<AddressInfo>
  /** Takes no more connections and resolves when the last request in flight is answered, or `signal` aborts. */
  close(signal: AbortSignal): Promise<void>
}

export interface DoorServerOptions {
  readonly onRequest: http.RequestListener
  /** A WebSocket handshake; anything else that asks for an upgrade is an ordinary request. */
  readonly onWebSocket: (request: http.IncomingMessage, socket: Duplex, head: Buffer) => void
  /** What could not even be parsed: already answered, only to be logged. */
  readonly onUnparsable: (error: GatewayError, socket: Duplex, requestId: string) => void
}

/**
 * The HTTP server. Slow headers are cut after 60 s; a body may take its time (a large upload does), the proxy
 * watches its pauses. Idle connections are kept for 65 s, longer than load balancers in front keep theirs.
 */
export function createDoorServer({ onRequest, onWebSocket, onUnparsable }: DoorServerOptions): DoorServer {
  const server = http.createServer(
    {
      headersTimeout: 60_000,
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 10_000,
      // h2c and friends are not relayed: smuggling a second protocol past the door (RFC 9110 §7.8 lets us
      // ignore them).
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    onRequest,
  )
  server.on('upgrade', onWebSocket)

  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Nothing to say, or somebody in the middle of being answered.
    const answering = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage?.headersSent
    if (error.code === 'ECONNRESET' || !socket.writable || answering) {
      socket.destroy()
      return
    }
    refuse(socket, toGatewayError(error))
  })
  server.on('connect', (_request, socket) => {
    refuse(socket, new GatewayError('method_not_allowed', { detail: 'CONNECT is not served.' }))
  })

  function refuse(socket: Duplex, error: GatewayError): void {
    const id = requestId([])
    writeProblem(socket, error, id)
    onUnparsable(error, socket, id)
  }

  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          resolve(server.address() as AddressInfo)
        })
      }),
    close: (signal) =>
      new Promise((resolve) => {
        // Idle connections are closed by this as well; busy ones say `Connection: close` with their reply.
        server.close(() => resolve())
        const giveUp = () => server.closeAllConnections()
        if (signal.aborted) giveUp()
        else signal.addEventListener('abort', giveUp, { once: true })
      }),
  }
}

function toGatewayError(error: NodeJS.ErrnoException): GatewayError {
  if (error.code === 'HPE_HEADER_OVERFLOW') return new GatewayError('headers_too_large')
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new GatewayError('request_timeout')
  return new GatewayError('bad_request', { detail: 'The request is not valid HTTP/1.1.' })
}

/** A problem reply on a bare socket, which it then closes. */
export function writeProblem(socket: Duplex, error: GatewayError, requestId: string): void {
  const body = JSON.stringify(toProblem(error, requestId))
  const head = [
    `HTTP/1.1 ${error.status} ${error.title}`,
    `Content-Type: ${problemMediaType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    ...Object.entries(error.headers).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
