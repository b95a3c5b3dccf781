import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import { type Connections, createConnections, inFlight, promisedIdleMs } from './connections.ts'
import { endAndLinger } from './linger.ts'
import { problemMediaType, toProblem } from './problem.ts'
import { requestId } from './request-id.ts'

export interface DoorServer extends Connections {
  /** Resolves with the address once connections are taken; rejects where that cannot be. */
  listen(port: number, host: string): Promise<AddressInfo>
}

export interface DoorServerOptions {
  readonly onRequest: http.RequestListener
  /** Answers a request that there is no time for, and says whether it did: asked first, before anything else. */
  readonly turnAway?: (request: http.IncomingMessage, response: http.ServerResponse) => boolean
  /** A WebSocket handshake; anything else that asks for an upgrade is an ordinary request. */
  readonly onWebSocket: (request: http.IncomingMessage, socket: Duplex, head: Buffer) => void
  /** What could not even be parsed: already answered, only to be logged. */
  readonly onUnparsable: (error: GatewayError, socket: Duplex, requestId: string) => void
  /**
   * Whether a client that asks before it sends a body (`Expect: 100-continue`) is told to go on; everyone is unless
   * this is given. The request is handled either way.
   */
  readonly welcomesBody?: ((request: http.IncomingMessage) => boolean) | undefined
  /** How long a client may take over the head of a request. */
  readonly headersTimeoutMs?: number
  /** See connections.ts. */
  readonly acceptTurn?: (() => Promise<void>) | undefined
}

/**
 * How long an idle connection is kept: longer than load balancers in front keep theirs, 60 s at nginx and AWS, 90 s at
 * Traefik. Who keeps them for longer than that (Google, 10 min; Envoy, 1 h) is to be told less.
 */
const keptIdleMs = 95_000

/**
 * The HTTP server. Slow headers are cut; a body may take its time (a large upload does), the proxy watches its
 * pauses.
 */
export function createDoorServer(options: DoorServerOptions): DoorServer {
  const { turnAway, onWebSocket, onUnparsable, welcomesBody, headersTimeoutMs = 60_000 } = options
  const onRequest: http.RequestListener =
    turnAway === undefined
      ? options.onRequest
      : (request, response) => {
          if (!turnAway(request, response)) options.onRequest(request, response)
        }
  const server = http.createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: promisedIdleMs,
      keepAliveTimeoutBuffer: keptIdleMs - promisedIdleMs,
      connectionsCheckingInterval: Math.min(10_000, headersTimeoutMs),
      // Node's own refusal is no problem document and in no log: checkHost does the same.
      requireHostHeader: false,
      // h2c and friends are not relayed: smuggling a second protocol past the door (RFC 9110 §7.8 lets us
      // ignore them, and makes us ignore every upgrade in HTTP/1.0).
      shouldUpgradeCallback: ({ headers, httpVersionMinor }) =>
        httpVersionMinor === 1 && headers.upgrade?.toLowerCase() === 'websocket',
    },
    onRequest,
  )
  // The header block is limited by its size; a limit by number would drop headers without a word.
  server.maxHeadersCount = 0
  // An expectation nobody knows may be ignored (RFC 9110 §10.1.1); Node would answer 417 past the door.
  server.on('checkExpectation', onRequest)
  if (welcomesBody !== undefined || turnAway !== undefined) {
    server.on('checkContinue', (request, response) => {
      if (turnAway?.(request, response)) return
      if (welcomesBody?.(request) ?? true) response.writeContinue()
      options.onRequest(request, response)
    })
  }
  // A connection that could not be taken (no file descriptor left) is lost; the process is not.
  server.on('error', () => {})

  const { watch, close } = createConnections(server, options.acceptTurn)
  server.on('upgrade', (request, socket, head) => {
    // Node lets go of the socket, and nobody may be listening when the client resets it.
    socket.on('error', () => {})
    // Pipelined behind a request that is still being answered: nobody does that who means well.
    if (!endAfterReply(socket)) onWebSocket(request, socket, head)
  })

  const refused = new WeakSet<Duplex>()
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Every further piece of what is no request is reported again.
    if (refused.has(socket)) return
    const message = inFlight(socket)
    const inBody = message !== undefined && !message.req.complete
    // A client that closes in mid-body has left: it is no bad request, and the one in flight is logged as such.
    const hasLeft = inBody && error.code === 'HPE_INVALID_EOF_STATE'
    if (error.code === 'ECONNRESET' || !socket.writable || hasLeft || (inBody && message.headersSent)) {
      socket.destroy()
    } else if (message === undefined || inBody || !endAfterReply(socket)) {
      refuse(socket, toGatewayError(error))
    }
  })
  server.on('connect', (_request, socket) => {
    const headers = { Allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' }
    refuse(socket, new GatewayError('method_not_allowed', { detail: 'CONNECT is not served.', headers }))
  })

  function refuse(socket: Duplex, error: GatewayError): void {
    refused.add(socket)
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
    watch,
    close,
  }
}

/** Closes a connection once the reply in flight on it is out; false where there is none. */
function endAfterReply(socket: Duplex): boolean {
  const message = inFlight(socket)
  if (message === undefined) return false
  socket.on('error', () => {})
  message.shouldKeepAlive = false
  message.once('close', () => endAndLinger(socket))
  return true
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
    'Cache-Control: no-store',
    'Connection: close',
    ...Object.entries(error.headers).map(([name, value]) => `${name}: ${value}`),
  ]
  // Nobody listens on a socket that Node has handed over: without this a reset would end the process.
  socket.on('error', () => {})
  socket.resume()
  endAndLinger(socket, `${head.join('\r\n')}\r\n\r\n${body}`)
}
