import { type IncomingHttpHeaders, type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { endAndLinger } from '../door/linger.ts'
import { GatewayError } from '../errors.ts'
import type { Identity } from '../tokens/identity.ts'
import type { Pass } from '../tokens/verified.ts'
import { anonymous, type ForwardedIdentity, requestHeaders, responseHeaders } from './headers.ts'
import type { OutlierDetection } from './outlier.ts'
import { reasonPhrase } from './reply.ts'
import { mayRetry, noInstance, pickUpstream } from './retry.ts'
import { forwardedTarget, type ProxyRoute } from './routes.ts'
import { createTokenWatch } from './token-watch.ts'
import { classifyFailure } from './upstream-errors.ts'
import type { Upstream } from './upstreams.ts'
import { linkSockets, type WebSocketLink } from './websocket-link.ts'

/** How a WebSocket ended, for the access log. */
export interface WebSocketOutcome {
  /** 101 for one that was relayed, otherwise what the house or the gateway answered. */
  readonly status: number
  readonly attempts: number
  readonly upstream: Upstream | undefined
  readonly failure: GatewayError | undefined
}

interface WebSocketRequest {
  readonly incoming: IncomingMessage
  /** The client's connection, and what it sent right behind the handshake. */
  readonly socket: Duplex
  readonly head: Buffer
  readonly route: ProxyRoute
  readonly identity: ForwardedIdentity
  /** Who is calling; undefined for nobody in particular. */
  readonly pass: Pass | undefined
  /** Answers with a problem on the bare socket. */
  readonly refuse: (error: GatewayError) => void
  readonly done: (outcome: WebSocketOutcome) => void
}

export interface WebSocketRelay {
  relay(request: WebSocketRequest): void
  /**
   * Ends every open WebSocket and lets no more be opened: clients connect again, to another gateway if this one
   * is going down.
   */
  closeAll(): void
}

export interface WebSocketOptions {
  readonly outliers: OutlierDetection
  /** The route as the table has it now, for a further attempt. */
  readonly renew: (route: ProxyRoute) => ProxyRoute
  /** Lower-case names that only the gateway may speak under, besides those that headers.ts knows. */
  readonly reservedHeaders: ReadonlySet<string>
  /** An open WebSocket on which nothing moves either way is closed after this. */
  readonly idleTimeoutMs: number
  /** Of a token that a WebSocket was opened with, asked about once a second; expiry is seen to here. */
  readonly isRevoked: (identity: Identity) => boolean
}

/** After one side has closed, the other gets this long to close as well. */
const halfClosedMs = 5000

/**
 * Relays WebSockets (RFC 6455): the handshake is an ordinary proxied request, retried on another instance as
 * long as nothing was answered; after the 101 the two connections are joined byte by byte, so that frames and
 * extensions are the business of the two ends. One that was opened with a token is closed within a second of the
 * token's end.
 */
export function createWebSocketRelay(options: WebSocketOptions): WebSocketRelay {
  const { outliers, renew, idleTimeoutMs, reservedHeaders, isRevoked } = options
  const tokens = createTokenWatch({ isRevoked })
  const open = new Set<() => void>()
  let closing = false

  function relay(request: WebSocketRequest): void {
    const { incoming, socket, identity, pass } = request
    const tried: Upstream[] = []
    let sent = 0
    let departed = 0
    let { route } = request
    let state: 'handshake' | 'declined' | 'open' | 'over' = 'handshake'
    let upstream: Upstream | undefined
    let counted = false
    let controller: Dispatcher.DispatchController | undefined
    let failure: GatewayError | undefined
    let reply: ServerResponse | undefined
    let link: WebSocketLink | undefined
    let unwatch: (() => void) | undefined
    const deadline = setTimeout(() => {
      if (controller !== undefined) outliers.failed(route.group, upstream!)
      fail(new GatewayError('upstream_timeout'))
    }, route.timeoutMs)
    const hangUp = watchForHangUp(socket, () => fail(new GatewayError('client_closed_request')))
    const stop = () => {
      if (state === 'open') link?.close()
      else fail(new GatewayError('shutting_down', { headers: { 'Retry-After': '1' } }))
    }
    open.add(stop)

    function answered(next: 'declined' | 'open'): void {
      state = next
      clearTimeout(deadline)
      hangUp.ignore()
      outliers.succeeded(route.group, upstream!)
    }

    function release(): void {
      if (counted) upstream!.inFlight -= 1
      counted = false
    }

    function end(status: number): void {
      if (state === 'over') return
      state = 'over'
      clearTimeout(deadline)
      hangUp.ignore()
      open.delete(stop)
      unwatch?.()
      release()
      request.done({ status, attempts: tried.length, upstream, failure })
    }

    /** Ends a handshake that nobody has answered yet. */
    function fail(error: GatewayError): void {
      if (state !== 'handshake') return
      failure = error
      end(error.status)
      controller?.abort(error)
      if (!socket.destroyed) request.refuse(error)
    }

    /** The token that it was opened with is worth nothing any more. */
    function expire(): void {
      failure = new GatewayError('invalid_token')
      link?.close()
    }

    /** Breaks off what the house had begun to answer. */
    function breakOff(error: GatewayError): void {
      if (state !== 'declined') return
      failure = error
      end(error.status)
      controller?.abort(error)
      socket.destroy()
    }

    function attempt(): void {
      const next = pickUpstream(route, tried)
      if (next === undefined) {
        fail(noInstance(route))
        return
      }
      upstream = next
      controller = undefined
      tried.push(next)
      next.inFlight += 1
      counted = true
      const user = pass?.headers ?? anonymous
      const { headers } = requestHeaders(incoming.rawHeaders, identity, user, reservedHeaders)
      next.pool.dispatch(
        {
          path: forwardedTarget(incoming.url ?? '/', route.cut),
          method: 'GET',
          upgrade: 'websocket',
          headers: next.hostHeader === undefined ? headers : ['host', next.hostHeader, ...headers],
        },
        handler,
      )
    }

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        sent += 1
        if (state === 'over') started.abort(new Error('handshake is over'))
      },
      onRequestUpgrade(_controller, status, headers, house) {
        controller = undefined
        if (state !== 'handshake') return void house.destroy()
        let head: string
        try {
          head = switchingProtocols(status, headers, identity.requestId)
        } catch (error) {
          house.destroy()
          outliers.failed(route.group, upstream!)
          return fail(new GatewayError('upstream_bad_response', { cause: error }))
        }
        answered('open')
        socket.write(head, 'latin1')
        link = linkSockets(socket as Socket, house as Socket, {
          head: request.head,
          idleTimeoutMs,
          halfClosedMs,
          onClosed: () => end(101),
        })
        unwatch = pass && tokens.add(pass.identity, expire)
      },
      // The house declines: its reply is relayed like any other.
      onResponseStart(started, status, headers, statusMessage) {
        if (status < 200 || state !== 'handshake') return
        try {
          const declined = new ServerResponse(incoming)
          declined.shouldKeepAlive = false
          const lines = responseHeaders(headers, status, identity.requestId)
          declined.writeHead(status, reasonPhrase(statusMessage), lines)
          reply = declined
        } catch (error) {
          // A status or reason that HTTP does not allow.
          started.abort(error as Error)
          return
        }
        answered('declined')
        socket.once('close', () => breakOff(new GatewayError('client_closed_request')))
        reply.once('finish', () => endAndLinger(socket))
        reply.assignSocket(socket as Socket)
        socket.resume()
      },
      onResponseData(started, chunk) {
        if (state !== 'declined' || reply?.write(chunk)) return
        started.pause()
        socket.once('drain', () => started.resume())
      },
      onResponseEnd() {
        if (state !== 'declined') return
        reply?.end()
        end(reply?.statusCode ?? 502)
      },
      onResponseError(_controller, error) {
        release()
        if (state === 'declined') return breakOff(new GatewayError('upstream_reset', { cause: error }))
        if (state !== 'handshake') return
        const found = classifyFailure(error, controller !== undefined)
        controller = undefined
        if (found.blamesInstance) outliers.failed(route.group, upstream!)
        const now = renew(route)
        if (!found.neverSent && !now.group.all.includes(upstream!)) departed += 1
        const tally = { attempts: tried.length, sent, departed }
        if (mayRetry({ method: 'GET', hasBody: false }, found, tally, now)) {
          route = now
          return attempt()
        }
        fail(new GatewayError(found.code, { cause: error }))
      },
    }

    if (closing) stop()
    else attempt()
  }

  return {
    relay,
    closeAll() {
      closing = true
      for (const stop of open) stop()
    },
  }
}

/**
 * Notices that a client hangs up during the handshake, though what it says is left unread for the house: the end
 * of a stream that nobody reads goes unnoticed.
 */
function watchForHangUp(socket: Duplex, onHangUp: () => void): { ignore(): void } {
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

/** @throws Error where the house switched to something else than was asked for */
function switchingProtocols(status: number, headers: IncomingHttpHeaders, requestId: string): string {
  if (status !== 101 || headers.upgrade?.toLowerCase() !== 'websocket') throw new Error('bad upgrade')
  const { 'content-length': _, ...rest } = headers
  const lines = responseHeaders(rest, status, requestId)
  let head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  for (let i = 0; i < lines.length; i += 2) head += `${lines[i]}: ${lines[i + 1]}\r\n`
  return `${head}\r\n`
}

const noop = () => {}
