import type { IncomingMessage } from 'node:http'
import type { Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
import type { AttemptSpan, RequestSpan } from '../observability/trace.ts'
import type { ConcurrencyLimit, Waiter } from './concurrency.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { ExchangeRecord } from './exchange-record.ts'
import { timeoutHeader } from './headers.ts'
import type { MirrorCopy } from './mirror.ts'
import { backOffMs, grantRetry, noInstance, pickUpstream } from './retry.ts'
import type { ProxyRoute } from './routes.ts'
import { type Upload, uploadOf } from './upload.ts'
import { classifyFailure, countError } from './upstream-errors.ts'
import type { Upstream } from './upstreams.ts'
import { Watch } from './watch.ts'

/**
 * What is being waited for: decides what a timer that runs out means. While the reply's body comes (`download`)
 * undici watches for silence; `delivery` is waiting for the client to take what was written.
 */
export type Phase = 'upload' | 'head' | 'download' | 'delivery' | 'over'

/**
 * 100 bytes a second, on the average since the first of them and with `idleTimeoutMs` to begin with: who sends a byte now
 * and then is never silent, and would hold a connection to the house for ever.
 */
const slowestMsPerByte = 10

/** The way of a request to an instance: a place where those are counted, one attempt after the other, one deadline. */
export abstract class ExchangeAttempts extends ExchangeRecord implements Dispatcher.DispatchHandler, Waiter {
  readonly tried: Upstream[] = []
  protected readonly context: ExchangeContext
  protected readonly incoming: IncomingMessage
  protected upload: Upload | null = null
  protected bodySent = false
  protected controller: Dispatcher.DispatchController | undefined
  protected phase: Phase = 'head'
  protected readonly watch = new Watch(() => this.timedOut())
  private headers: string[] = []
  private inFlight = false
  /** What is told of the request, and of the attempt that is under way. */
  protected span: RequestSpan | undefined
  private attemptSpan: AttemptSpan | undefined
  /** What the instance that is asked now has answered, and what went wrong with it. */
  protected heardStatus = 0
  protected heardError: Error | undefined
  private copy: MirrorCopy | undefined
  /** Where it has a place, or waits for one. */
  protected limit: ConcurrencyLimit | undefined
  protected waiting = false
  private queuedAt = 0
  /** What waiting for a place has cost a request with a body, whose deadline has not begun to run. */
  private queuedMs = 0
  private backOff: NodeJS.Timeout | undefined
  /** When an upload is too slow, at the bytes that have come. */
  private slowestEndsAt = 0

  constructor(context: ExchangeContext, path: string, incoming: IncomingMessage) {
    super(path, incoming.url ?? '/')
    this.context = context
    this.incoming = incoming
  }

  protected abstract fail(error: GatewayError): void
  protected abstract timedOut(): void

  /** Starts the clock and the first attempt. */
  protected begin(route: ProxyRoute, headers: string[], hasBody: boolean): void {
    if (this.span !== undefined) headers.push('traceparent', '')
    headers.push(timeoutHeader, route.timeoutText)
    this.headers = headers
    route.budget.count()
    if (route.mirror !== undefined) this.copy = route.mirror.draw()
    if (hasBody) {
      const upload = uploadOf(this.incoming, this.context.bodyLimit)
      this.upload = this.copy === undefined ? upload : this.copy.reading(upload)
      this.wait('upload', this.context.idleTimeoutMs)
    } else this.wait('head', route.timeoutMs)
    this.attempt(route)
  }

  private attempt(route: ProxyRoute): void {
    this.route = route
    this.controller = undefined
    if (route.limit !== undefined) {
      this.enter(route, route.limit)
      return
    }
    const upstream = pickUpstream(route, this.tried)
    if (upstream === undefined) this.turnedAway(noInstance(route))
    else this.dispatch(route, upstream)
  }

  private enter(route: ProxyRoute, limit: ConcurrencyLimit): void {
    this.limit = limit
    this.waiting = true
    limit.enter(this, route)
    if (!this.waiting) return
    this.queuedAt = performance.now()
    // Nothing is read from the client meanwhile: that it is silent says nothing.
    if (this.upload !== null) this.wait('head', this.leftMs(route))
  }

  admitted(route: ProxyRoute, upstream: Upstream): void {
    this.waiting = false
    if (this.queuedAt !== 0) this.hasWaited(route)
    this.dispatch(route, upstream)
  }

  private hasWaited(route: ProxyRoute): void {
    if (this.queuedAt !== 0 && this.upload !== null) {
      this.queuedMs += performance.now() - this.queuedAt
      this.wait('upload', this.context.idleTimeoutMs)
    }
    this.queuedAt = 0
    this.tellTimeLeft(route)
  }

  /** Nobody takes it. Whom a canary stands in for is asked instead. */
  turnedAway(error: GatewayError): void {
    this.waiting = false
    this.limit = undefined
    if (error.code === 'no_instance') countError(this.route!.errors, error.code)
    const stable = this.route?.stable
    if (stable === undefined) this.fail(error)
    else {
      const next = this.context.renew(stable)
      this.hasWaited(next)
      this.attempt(next)
    }
  }

  private dispatch(route: ProxyRoute, upstream: Upstream): void {
    if (this.attempts > 0) {
      this.tellTimeLeft(route)
      route.budget.counts.made += 1
    }
    this.route = route
    this.upstream = upstream
    this.tried.push(upstream)
    this.attempts += 1
    this.inFlight = true
    upstream.inFlight += 1
    if (this.span !== undefined) this.beginToTell(this.span, route, upstream)
    upstream.pool.dispatch(
      {
        path: this.url,
        method: this.incoming.method as Dispatcher.HttpMethod,
        headers:
          upstream.hostHeader === undefined ? this.headers : ['host', upstream.hostHeader, ...this.headers],
        body: this.upload,
      },
      this,
    )
  }

  private beginToTell(span: RequestSpan, { service }: ProxyRoute, { origin }: Upstream): void {
    const { method = '' } = this.incoming
    this.heardStatus = 0
    this.heardError = undefined
    this.attemptSpan = span.attempt({
      method,
      url: this.url,
      service,
      origin,
      resendCount: this.attempts - 1,
    })
    // In front of the time that is left.
    this.headers[this.headers.length - 3] = this.attemptSpan.traceparent
  }

  private endTelling(span: AttemptSpan): void {
    this.attemptSpan = undefined
    const { heardError, heardStatus } = this
    const failed = heardError && classifyFailure(heardError, this.controller !== undefined, heardStatus !== 0)
    span.end(heardStatus, this.phase === 'over' ? this.failure?.code : failed?.code)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    this.sent += 1
    // The caller left, or the deadline passed, while a connection was being made.
    if (this.phase === 'over') controller.abort(new Error('exchange is over'))
  }

  onBodySent(chunk: Uint8Array): void {
    this.bytesReceived += chunk.length
    if (this.phase !== 'upload') return
    const now = performance.now()
    const { idleTimeoutMs } = this.context
    if (this.slowestEndsAt === 0) this.slowestEndsAt = now + idleTimeoutMs
    this.slowestEndsAt += chunk.length * slowestMsPerByte
    this.watch.within(Math.min(idleTimeoutMs, Math.max(0, this.slowestEndsAt - now)))
  }

  onRequestSent(): void {
    this.bodySent = true
    if (this.phase === 'upload') this.wait('head', this.leftMs(this.route!))
    if (this.copy === undefined) return
    const { copy, url, headers } = this
    this.copy = undefined
    copy.send({ method: this.incoming.method ?? 'GET', url, headers: headers.slice(0, -2) })
  }

  /** No reply came: another attempt, or the end. */
  protected attemptFailed(error: Error, mayBegin: boolean): void {
    const failure = classifyFailure(error, this.controller !== undefined, this.status !== 0)
    const { upstream } = this
    if (failure.blamesInstance) {
      this.context.outliers.failed(this.route!.group, upstream!)
      countError(this.route!.errors, failure.code)
    }
    // The table may have changed meanwhile, and the instances that this route knew be gone.
    const route = this.context.renew(this.route!)
    const request = { method: this.incoming.method ?? 'GET', hasBody: this.upload !== null }
    const reason = new GatewayError(failure.code, { cause: error })
    if (!mayBegin) this.fail(reason)
    else if (grantRetry(request, failure, this, upstream!, route)) {
      this.tryAgain(route, backOffMs(failure, this, this.context.random), reason)
    } else if (failure.neverSent && route.stable !== undefined) {
      // Whom the canary stands in for has not been asked yet.
      this.unsent = 0
      this.attempt(this.context.renew(route.stable))
    } else this.fail(reason)
  }

  private tryAgain(route: ProxyRoute, afterMs: number, reason: GatewayError): void {
    if (afterMs === 0) this.attempt(route)
    else if (afterMs >= this.watch.left()) this.fail(reason)
    else {
      this.controller = undefined
      this.backOff = setTimeout(() => this.attempt(this.context.renew(route)), afterMs)
    }
  }

  private tellTimeLeft(route: ProxyRoute): void {
    this.headers[this.headers.length - 1] = String(Math.max(1, Math.round(this.leftMs(route))))
  }

  /** Until the deadline, which for a request with a body begins to run once all of it is out. */
  private leftMs(route: ProxyRoute): number {
    return this.upload === null ? this.watch.left() : Math.max(1, route.timeoutMs - this.queuedMs)
  }

  /** Gives its place back. */
  protected release(): void {
    if (!this.inFlight) return
    this.inFlight = false
    const { limit, upstream } = this
    upstream!.inFlight -= 1
    if (this.attemptSpan !== undefined) this.endTelling(this.attemptSpan)
    if (limit === undefined) return
    this.limit = undefined
    limit.leave(upstream!)
  }

  /** Nothing will be tried or waited for again. */
  protected over(): void {
    this.phase = 'over'
    this.watch.end()
    if (this.backOff !== undefined) clearTimeout(this.backOff)
    if (!this.waiting) return
    this.waiting = false
    this.limit!.withdraw(this)
  }

  protected wait(phase: Phase, ms: number): void {
    this.phase = phase
    this.watch.within(ms)
  }
}
