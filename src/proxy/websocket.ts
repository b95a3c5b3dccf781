import { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { endAndLinger } from '../door/linger.ts'
import { GatewayError } from '../errors.ts'
import type { Identity } from '../tokens/identity.ts'
import { type ConcurrencyLimit, overloaded, type Waiter } from './concurrency.ts'
import { anonymous, requestHeaders, responseHeaders } from './headers.ts'
import type { OutlierDetection } from './outlier.ts'
import { reasonPhrase } from './reply.ts'
import { backOffMs, grantRetry, noInstance, pickUpstream } from './retry.ts'
import { forwardedTarget, type ProxyRoute } from './routes.ts'
import { createTokenWatch } from './token-watch.ts'
import { classifyFailure, countError } from './upstream-errors.ts'
import type { Upstream } from './upstreams.ts'
import { switchingProtocols, watchForHangUp } from './websocket-handshake.ts'
import { linkSockets, type WebSocketLink } from './websocket-link.ts'
import type { WebSocketRequest } from './websocket-request.ts'
import { tellAttempts } from './websocket-spans.ts'

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
  readonly random: () => number
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
  const { outliers, random, renew, idleTimeoutMs, reservedHeaders, isRevoked } = options
  const tokens = createTokenWatch({ isRevoked })
  const open = new Set<() => void>()
  let closing = false

  function relay(request: WebSocketRequest): void {
    const { incoming, socket, identity, pass } = request
    const tried: Upstream[] = []
    const tally = { sent: 0, departed: 0, unsent: 0 }
    let { route } = request
    let state: 'handshake' | 'declined' | 'open' | 'over' = 'handshake'
    let upstream: Upstream | undefined
    let counted = false
    /** Where it has a place, or waits for one. */
    let limit: ConcurrencyLimit | undefined
    let backOff: NodeJS.Timeout | undefined
    let controller: Dispatcher.DispatchController | undefined
    let failure: GatewayError | undefined
    let reply: ServerResponse | undefined
    let link: WebSocketLink | undefined
    let unwatch: (() => void) | undefined
    const told = tellAttempts(identity.trace?.span)
    const deadline = setTimeout(() => {
      const waits = limit !== undefined && !counted
      if (waits) limit!.withdraw(waiter, true)
      else if (controller !== undefined) outliers.failed(route.group, upstream!)
      if (!waits) countError(route.errors, 'upstream_timeout')
      fail(waits ? overloaded(route) : new GatewayError('upstream_timeout'))
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
      leave()
      outliers.succeeded(route.group, upstream!)
    }

    /** Of the limit, where there is one: what is open takes no place there, or a few clients would have them all. */
    function leave(): void {
      if (counted) limit?.leave(upstream!)
      else limit?.withdraw(waiter)
      limit = undefined
    }

    function release(): void {
      leave()
      if (counted) upstream!.inFlight -= 1
      counted = false
      told?.end(0, failure?.code)
    }

    function end(status: number): void {
      if (state === 'over') return
      state = 'over'
      clearTimeout(deadline)
      clearTimeout(backOff)
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

    const waiter: Waiter = { tried, admitted: dispatch, turnedAway }

    function attempt(to: ProxyRoute): void {
      route = to
      controller = undefined
      limit = route.limit
      const next = limit === undefined ? pickUpstream(route, tried) : undefined
      if (limit !== undefined) limit.enter(waiter, route)
      else if (next === undefined) turnedAway(noInstance(route))
      else dispatch(route, next)
    }

    /** Nobody takes it. Whom a canary stands in for is asked instead. */
    function turnedAway(error: GatewayError): void {
      limit = undefined
      if (error.code === 'no_instance') countError(route.errors, error.code)
      if (route.stable === undefined) fail(error)
      else attempt(renew(route.stable))
    }

    function tryAgain(to: ProxyRoute, afterMs: number): void {
      controller = undefined
      if (afterMs === 0) attempt(to)
      else backOff = setTimeout(() => attempt(renew(to)), afterMs)
    }

    function dispatch(to: ProxyRoute, next: Upstream): void {
      route = to
      upstream = next
      if (tried.length > 0) to.budget.counts.made += 1
      tried.push(next)
      next.inFlight += 1
      counted = true
      const user = pass?.headers ?? anonymous
      const { headers } = requestHeaders(incoming.rawHeaders, identity, user, reservedHeaders)
      const url = forwardedTarget(incoming.url ?? '/', route.cut)
      const { origin } = next
      told?.begin({ url, service: to.service, origin, resendCount: tried.length - 1 }, headers)
      next.pool.dispatch(
        {
          path: url,
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
        tally.sent += 1
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
          countError(route.errors, 'upstream_bad_response')
          return fail(new GatewayError('upstream_bad_response', { cause: error }))
        }
        told?.end(status, undefined)
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
        told?.end(status, undefined)
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
        if (state === 'handshake') told?.end(0, classifyFailure(error, controller !== undefined).code)
        release()
        if (state === 'declined') {
          countError(route.errors, 'upstream_reset')
          return breakOff(new GatewayError('upstream_reset', { cause: error }))
        }
        if (state !== 'handshake') return
        const found = classifyFailure(error, controller !== undefined)
        controller = undefined
        if (found.blamesInstance) {
          outliers.failed(route.group, upstream!)
          countError(route.errors, found.code)
        }
        const now = renew(route)
        if (grantRetry({ method: 'GET', hasBody: false }, found, tally, upstream!, now)) {
          return tryAgain(now, backOffMs(found, tally, random))
        }
        if (found.neverSent && now.stable !== undefined) {
          tally.unsent = 0
          return attempt(renew(now.stable))
        }
        fail(new GatewayError(found.code, { cause: error }))
      },
    }

    route.budget.count()
    if (closing) stop()
    else attempt(route)
  }

  return {
    relay,
    closeAll() {
      closing = true
      for (const stop of open) stop()
    },
  }
}
