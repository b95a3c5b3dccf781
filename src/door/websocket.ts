import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import type { Inject } from '../oauth/inject.ts'
import type { AccessEntry, Log } from '../observability/log.ts'
import type { Tracing } from '../observability/tracing.ts'
import type { ProxyRoute, ProxyRoutes } from '../proxy/routes.ts'
import type { WebSocketRelay } from '../proxy/websocket.ts'
import type { WebSocketOutcome } from '../proxy/websocket-request.ts'
import type { Guard } from '../tokens/guard.ts'
import type { Pass } from '../tokens/verified.ts'
import type { CountRequests } from './count-requests.ts'
import { asGatewayError } from './error-boundary.ts'
import { forwardedIdentity, type IdentifyCaller } from './forwarded.ts'
import { checkHost } from './host.ts'
import type { Overload } from './overload.ts'
import type { OwnPaths } from './own-paths.ts'
import { checkTarget } from './path.ts'
import { requestId } from './request-id.ts'
import { writeProblem } from './server.ts'
import { beginTrace } from './trace-request.ts'
import { overloadedError } from './turn-away.ts'

export interface WebSocketDoorOptions {
  readonly overload: Pick<Overload, 'turnsAway'>
  readonly ownPaths: OwnPaths
  readonly routes: ProxyRoutes
  readonly relay: WebSocketRelay
  readonly identify: IdentifyCaller
  readonly guard: Guard
  readonly inject: Inject
  readonly access: (entry: AccessEntry) => void
  readonly counted: CountRequests
  readonly tracing: Pick<Tracing, 'begin'> | undefined
  readonly log: Log
}

/**
 * The door's side of a WebSocket handshake, which Node hands over as a bare socket and Koa therefore never
 * sees: the same steps as in routes.ts, in the same order.
 */
export function createWebSocketDoor(options: WebSocketDoorOptions) {
  const { overload, ownPaths, routes, relay, identify, guard, inject, access, counted, log } = options
  const { tracing } = options
  return function onWebSocket(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    // No line in the access log, as of requests (turn-away.ts).
    if (overload.turnsAway(incoming.url ?? '/')) {
      writeProblem(socket, overloadedError(), requestId(incoming.rawHeaders))
      return
    }
    const startedAt = performance.now()
    counted.begin()
    const id = requestId(incoming.rawHeaders)
    const caller = identify(incoming)
    const trace = beginTrace(incoming, caller, tracing)
    const { bytesRead = 0, bytesWritten = 0 } = socket as Partial<Socket>
    let subject: string | undefined
    let path = '-'
    let route: ProxyRoute | undefined
    const done = ({ status, attempts, upstream, failure }: WebSocketOutcome) => {
      const durationMs = performance.now() - startedAt
      const method = incoming.method ?? ''
      const { bytesRead: read = 0, bytesWritten: written = 0 } = socket as Partial<Socket>
      const entry: AccessEntry = {
        requestId: id,
        traceId: trace?.traceId,
        method,
        route: counted.end(path, route, method, status, durationMs),
        path,
        status,
        durationMs,
        clientAddress: caller.address,
        subject,
        bytesReceived: (status === 101 && head.length + read - bytesRead) || undefined,
        bytesSent: status === 101 ? written - bytesWritten : 0,
        service: route?.service,
        instance: upstream?.address,
        attempts,
        errorCode: failure?.code,
      }
      access(entry)
      trace?.span?.end(entry)
    }
    const refuse = (error: GatewayError) => writeProblem(socket, error, id)
    function turnAway(thrown: unknown): void {
      const error = asGatewayError(thrown, id, log)
      socket.on('error', () => {})
      refuse(error)
      done({ status: error.status, attempts: 0, upstream: undefined, failure: error })
    }
    const stay = () => {
      if (socket.destroyed) throw new GatewayError('client_closed_request')
    }
    /** The guard, the route's limit, and what it injects: at once where nothing has to be waited for. */
    function admit(to: ProxyRoute): ReturnType<Guard> {
      const verdict = guard(to, incoming.rawHeaders)
      return verdict instanceof Promise ? verdict.then(count) : count(verdict)

      function count(pass: Pass | undefined): ReturnType<Guard> {
        stay()
        subject = pass?.identity.subject
        to.rate?.enter(caller.address, pass)
        return to.inject === undefined || pass === undefined ? pass : inject(pass, to.inject)
      }
    }
    function enter(to: ProxyRoute, pass: Pass | undefined): void {
      const identity = forwardedIdentity(caller, id, trace)
      relay.relay({ incoming, socket, head, route: to, identity, pass, refuse, done })
    }
    try {
      const checked = checkTarget(incoming.url ?? '/')
      incoming.url = checked.target
      path = checked.path
      checkHost(incoming)
      checkHandshake(incoming)
      // The gateway has no WebSocket of its own, and what is its own is no service's.
      route = ownPaths.includes(path) ? undefined : routes.find(path)
      if (route === undefined) throw new GatewayError('not_found', { detail: `Nothing is found at ${path}.` })
      const found = routes.choose(route, incoming.rawHeaders)
      route = found
      const verdict = admit(found)
      if (!(verdict instanceof Promise)) {
        enter(found, verdict)
        return
      }
      // While the token is verified nobody else listens to the socket, and an error without a listener is fatal.
      const onError = () => {}
      socket.on('error', onError)
      verdict
        .then((pass) => {
          socket.off('error', onError)
          stay()
          enter(found, pass)
        })
        .catch(turnAway)
    } catch (thrown) {
      turnAway(thrown)
    }
  }
}

/** RFC 6455 §4.1. A body would have to be told from the frames behind it, which not every house would do alike. */
function checkHandshake({ method, headers }: IncomingMessage): void {
  if (method !== 'GET') throw new GatewayError('bad_request', { detail: 'A WebSocket begins with GET.' })
  const length = headers['content-length'] ?? '0'
  if (length !== '0' || headers['transfer-encoding'] !== undefined) {
    throw new GatewayError('bad_request', { detail: 'A WebSocket handshake has no body.' })
  }
}
