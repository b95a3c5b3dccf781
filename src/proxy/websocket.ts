import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
import { type ForwardedIdentity, requestHeaders, responseHeaders } from './headers.ts'
import type { OutlierDetection } from './outlier.ts'
import { mayRetry, pickUpstream } from './retry.ts'
import { forwardedTarget, type ProxyRoute } from './routes.ts'
import { classifyFailure } from './upstream-errors.ts'
import type { Upstream } from './upstreams.ts'

/** How a WebSocket ended, for the access log. */
export interface WebSocketOutcome {
  /** 101 for one that was relayed, otherwise what the house or the gateway answered. */
  readonly status: number
  readonly attempts: number
  readonly upstream: Upstream | undefined
  readonly failure: GatewayError | undefined
}

export interface WebSocketRequest {
  readonly incoming: IncomingMessage
  /** The client's connection, and what it sent right behind the handshake. */
  readonly socket: Duplex
  readonly head: Buffer
  readonly route: ProxyRoute
  readonly identity: ForwardedIdentity
  /** Answers with a problem on the bare socket. */
  readonly refuse: (error: GatewayError) => void
  readonly done: (outcome: WebSocketOutcome) => void
}

export interface WebSocketRelay {
  relay(request: WebSocketRequest): void
  /** Ends every open WebSocket: clients reconnect, to another gateway if this one is going down. */
  closeAll(): void
}

export interface WebSocketOptions {
  readonly outliers: OutlierDetection
  /** An open WebSocket on which nothing moves either way is closed after this. */
  readonly idleTimeoutMs: number
}

/** After one side has closed, the other gets this long to close as well. */
const halfClosedMs = 5000

/**
 * Relays WebSockets (RFC 6455): the handshake is an ordinary proxied request, retried on another instance as
 * long as nothing was answered; after the 101 the two connections are joined byte by byte, so that frames and
 * extensions are the business of the two ends.
 */
export function createWebSocketRelay({ outliers, idleTimeoutMs }: WebSocketOptions): WebSocketRelay {
  const open = new Set<() => void>()

  function relay(request: WebSocketRequest): void {
    const { incoming, socket, route } = request
    const tried: Upstream[] = []
    let upstream: Upstream | undefined
    let controller: Dispatcher.DispatchController | undefined
    let failure: GatewayError | undefined
    let state: 'handshake' | 'answered' | 'over' = 'handshake'
    const deadline = setTimeout(() => fail(new GatewayError('upstream_timeout')), route.timeoutMs)
    const onGone = () => fail(new GatewayError('client_closed_request'))
    socket.once('close', onGone)
    socket.on('error', noop)

    function end(status: number): void {
      if (state === 'over') return
      state = 'over'
      clearTimeout(deadline)
      if (upstream !== undefined) upstream.inFlight -= 1
      request.done({ status, attempts: tried.length, upstream, failure })
    }

    function fail(error: GatewayError): void {
      if (state !== 'handshake') return
      failure = error
      socket.off('close', onGone)
      end(error.status)
      controller?.abort(error)
      if (!socket.destroyed) request.refuse(error)
    }

    function attempt(): void {
      const next = pickUpstream(route, tried)
      if (next === undefined) {
        const detail = `No instance of ${route.service} is available.`
        return fail(new GatewayError('no_instance', { detail, headers: { 'Retry-After': '5' } }))
      }
      upstream = next
      controller = undefined
      tried.push(next)
      next.inFlight += 1
      const { headers } = requestHeaders(incoming.rawHeaders, request.identity)
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

    let refusal: ServerResponse | undefined
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        if (state === 'over') started.abort(new Error('handshake is over'))
      },
      onRequestUpgrade(_controller, status, headers, peer) {
        if (state !== 'handshake' || status !== 101) {
          peer.destroy()
          return
        }
        state = 'answered'
        clearTimeout(deadline)
        socket.off('close', onGone)
        outliers.succeeded(route.group, next())
        socket.write(switchingProtocols(responseHeaders(headers, status, request.identity.requestId)))
        join(request, peer as Socket, () => end(101))
      },
      // The house declines: its reply is relayed like any other.
      onResponseStart(started, status, headers, statusMessage) {
        if (status < 200 || state !== 'handshake') return
        state = 'answered'
        clearTimeout(deadline)
        socket.off('close', onGone)
        outliers.succeeded(route.group, next())
        refusal = new ServerResponse(incoming)
        refusal.shouldKeepAlive = false
        refusal.assignSocket(socket as Socket)
        refusal.once('finish', () => socket.end())
        try {
          refusal.writeHead(
            status,
            statusMessage || undefined,
            responseHeaders(headers, status, request.identity.requestId),
          )
        } catch (error) {
          started.abort(error as Error)
        }
      },
      onResponseData(_controller, chunk) {
        refusal?.write(chunk)
      },
      onResponseEnd() {
        refusal?.end()
        end(refusal?.statusCode ?? 502)
      },
      onResponseError(_controller, error) {
        if (state === 'over') return
        if (state === 'answered') {
          failure = new GatewayError('upstream_reset', { cause: error })
          socket.destroy()
          return end(failure.status)
        }
        const found = classifyFailure(error, controller !== undefined)
        if (found.blamesInstance) outliers.failed(route.group, next())
        next().inFlight -= 1
        upstream = undefined
        if (mayRetry({ method: 'GET', hasBody: false }, found, tried.length, route)) return attempt()
        fail(new GatewayError(found.code, { cause: error }))
      },
    }
    const next = () => tried.at(-1)!
    attempt()
  }

  /** Joins the two connections until both are closed. */
  function join(request: WebSocketRequest, peer: Socket, closed: () => void): void {
    const client = request.socket as Socket
    const sides = [client, peer]
    let ended = 0
    const destroy = () => {
      for (const side of sides) side.destroy()
    }
    const finish = () => {
      if (!open.delete(close)) return
      destroy()
      closed()
    }
    const close = () => {
      for (const side of sides) side.end()
      setTimeout(destroy, halfClosedMs).unref()
    }
    open.add(close)
    for (const side of sides) {
      side.setNoDelay(true)
      // A vanished peer is found out though nobody speaks; speaking peers reset this clock.
      side.setKeepAlive(true, 30_000)
      side.setTimeout(idleTimeoutMs, close)
      side.on('error', destroy)
      side.once('close', () => (++ended === sides.length ? finish() : destroy()))
      side.once('end', () => setTimeout(destroy, halfClosedMs).unref())
    }
    if (request.head.length > 0) peer.write(request.head)
    client.pipe(peer)
    peer.pipe(client)
    if (client.destroyed || peer.destroyed) finish()
  }

  return {
    relay,
    closeAll() {
      for (const close of open) close()
    },
  }
}

function switchingProtocols(headers: readonly string[]): string {
  let head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${head}\r\n`
}

const noop = () => {}
