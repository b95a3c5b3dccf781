import type { Dispatcher } from 'undici'
import { lingerAfterReply } from '../door/linger.ts'
import { GatewayError } from '../errors.ts'
import { joinRateFields } from '../rate/join-fields.ts'
import { overloaded } from './concurrency.ts'
import { ExchangeDelivery } from './exchange-delivery.ts'
import { type RequestHead, requestHeaders, responseHeaders } from './headers.ts'
import { breakOff, endWith, reasonPhrase } from './reply.ts'
import type { ProxyRoute } from './routes.ts'
import { countError } from './upstream-errors.ts'

const smallBodyBytes = 64 * 1024

/**
 * One proxied request from the door to the house and back: exchange-attempts.ts has the way there, this is the way
 * back.
 *
 * It is a class, and undici's dispatch handler itself, because one is made for every request: one allocation,
 * no closures but two.
 */
export class Exchange extends ExchangeDelivery {
  private remaining = -1
  /** The request as the house gets it, where somebody has looked at it before it is sent. */
  prepared: RequestHead | undefined

  /** The request as the house is to get it. */
  prepare(): RequestHead {
    this.prepared ??= requestHeaders(
      this.incoming.rawHeaders,
      this.identity,
      this.user,
      this.context.reservedHeaders,
    )
    return this.prepared
  }

  /** Starts forwarding. Everything after this happens in undici's callbacks. */
  send(route: ProxyRoute): void {
    const { headers, hasBody } = this.prepare()
    this.span = this.identity.trace?.span
    this.followClient()
    this.begin(route, headers, hasBody)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusMessage?: string,
  ): void {
    if (this.phase === 'over' || this.answeredInstead) return
    if (status < 200) {
      // Interim replies (103 Early Hints) are for the connection they came on. Nobody asked for a 101.
      if (status < 102) controller.abort(new Error('bad interim reply'))
      return
    }
    const { outgoing } = this
    this.heardStatus = status
    try {
      const head = responseHeaders(headers, status, this.identity.requestId)
      if (this.recorder?.begins(status, headers, head) === false) {
        this.context.outliers.succeeded(this.route!.group, this.upstream!)
        // What nobody is given is read to its end only where that is near.
        if (!(status === 304 || Number(headers['content-length']) <= smallBodyBytes)) {
          controller.abort(new Error('answered otherwise'))
        }
        return
      }
      if (this.upload !== null && !this.bodySent) {
        // An early reply to an upload: what is still to come of the body will not be read (RFC 9112 §9.3).
        head.push('connection', 'close')
        lingerAfterReply(this.incoming, outgoing)
      } else if (this.context.draining()) head.push('connection', 'close')
      if (this.route!.rate !== undefined) joinRateFields(head, outgoing)
      this.context.amendReply?.(head, outgoing)
      outgoing.writeHead(status, reasonPhrase(statusMessage), head)
    } catch (error) {
      // A status or header that HTTP does not allow: Node refuses to write it, and so do we.
      controller.abort(error as Error)
      return
    }
    const length = headers['content-length']
    this.remaining = typeof length === 'string' && this.incoming.method !== 'HEAD' ? Number(length) : -1
    this.status = status
    this.phase = 'download'
    this.watch.rest()
    this.context.outliers.succeeded(this.route!.group, this.upstream!)
    // The head of a stream (SSE) must not wait for its first event; a body that is already here comes in this
    // very tick and leaves with it in one write.
    if (this.remaining !== 0) process.nextTick(Exchange.flushHead, this)
  }

  private static flushHead(exchange: Exchange): void {
    if (exchange.phase === 'download' && exchange.bytesSent === 0) exchange.outgoing.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.phase === 'over' || this.answeredInstead) return
    this.recorder?.data(chunk)
    this.bytesSent += chunk.length
    this.context.passed(chunk.length)
    if (this.remaining >= 0) {
      this.remaining -= chunk.length
      if (this.remaining === 0) {
        endWith(this.outgoing, chunk, chunk.length === this.bytesSent)
        return
      }
    }
    if (!this.outgoing.write(chunk)) this.holdBack(controller)
  }

  /** The client reads slower than the house writes: the house is held until it has caught up. */
  private holdBack(controller: Dispatcher.DispatchController): void {
    controller.pause()
    // A house that closes makes undici hand over what is left, held back or not.
    if (this.phase === 'delivery') return
    this.awaitDelivery()
    this.recorder?.holds(true)
    this.outgoing.once('drain', () => {
      if (this.phase !== 'delivery' || this.outgoing.writableEnded) return
      this.recorder?.holds(false)
      this.watch.rest()
      this.phase = 'download'
      controller.resume()
    })
  }

  onResponseEnd(): void {
    if (this.phase === 'over' || this.answeredInstead) return
    this.recorder?.ends()
    if (!this.outgoing.writableEnded) this.outgoing.end()
    this.settle()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.heardError = error
    this.release()
    if (this.phase === 'over' || this.answeredInstead) return
    if (this.outgoing.writableEnded) {
      this.settle()
      return
    }
    this.attemptFailed(error, !this.outgoing.headersSent)
  }

  /** Ends in an error: a problem reply where nothing was sent yet, a broken connection where it was. */
  protected fail(error: GatewayError): void {
    this.failure = error
    if (this.outgoing.headersSent) {
      breakOff(this.outgoing, error.code === 'request_timeout')
      this.finish()
      return
    }
    if (this.recorder?.replaces(error) === true) return
    this.over()
    this.onClose()
  }

  /** Silence for too long, of whichever side it was waited for. */
  protected timedOut(): void {
    const { phase } = this
    if (phase === 'over') return
    if (this.waiting) {
      this.limit!.withdraw(this, true)
      this.fail(overloaded(this.route!))
      return
    }
    // An upload stands still: the client sends nothing, or the house takes nothing of what has come.
    const clientStalled = phase === 'delivery' || (phase === 'upload' && this.incoming.readableLength === 0)
    if (phase === 'head' && this.controller !== undefined) {
      this.context.outliers.failed(this.route!.group, this.upstream!)
    }
    this.phase = 'over'
    const failure = new GatewayError(clientStalled ? 'request_timeout' : 'upstream_timeout')
    this.failure = failure
    this.abandon()
    this.release()
    if (!clientStalled) countError(this.route!.errors, 'upstream_timeout')
    this.fail(failure)
  }
}
