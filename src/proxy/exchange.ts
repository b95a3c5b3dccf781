import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { lingerAfterReply } from '../door/linger.ts'
import { GatewayError } from '../errors.ts'
import { overloaded } from './concurrency.ts'
import { ExchangeAttempts } from './exchange-attempts.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { type ForwardedIdentity, requestHeaders, responseHeaders } from './headers.ts'
import { breakOff, endWith, reasonPhrase } from './reply.ts'
import type { ProxyRoute } from './routes.ts'

/**
 * One proxied request from the door to the house and back: exchange-attempts.ts has the way there, this is the way
 * back.
 *
 * It is a class, and undici's dispatch handler itself, because one is made for every request: one allocation,
 * no closures but two.
 */
export class Exchange extends ExchangeAttempts {
  private readonly outgoing: ServerResponse
  private readonly identity: ForwardedIdentity
  private remaining = -1

  constructor(
    context: ExchangeContext,
    path: string,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    identity: ForwardedIdentity,
  ) {
    super(context, path, incoming)
    this.outgoing = outgoing
    this.identity = identity
  }

  /** Starts forwarding. Everything after this happens in undici's callbacks. */
  send(route: ProxyRoute): void {
    const { rawHeaders } = this.incoming
    const { headers, hasBody } = requestHeaders(
      rawHeaders,
      this.identity,
      this.user,
      this.context.reservedHeaders,
    )
    this.outgoing.on('close', () => this.onClientClose())
    this.begin(route, headers, hasBody)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusMessage?: string,
  ): void {
    if (this.phase === 'over') return
    if (status < 200) {
      // Interim replies (103 Early Hints) are for the connection they came on. Nobody asked for a 101.
      if (status < 102) controller.abort(new Error('bad interim reply'))
      return
    }
    const { outgoing } = this
    try {
      const head = responseHeaders(headers, status, this.identity.requestId)
      if (this.upload !== null && !this.bodySent) {
        // An early reply to an upload: what is still to come of the body will not be read (RFC 9112 §9.3).
        head.push('connection', 'close')
        lingerAfterReply(this.incoming, outgoing)
      } else if (this.context.draining()) head.push('connection', 'close')
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
    if (this.phase === 'over') return
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
    this.outgoing.once('drain', () => {
      if (this.phase !== 'delivery' || this.outgoing.writableEnded) return
      this.watch.rest()
      this.phase = 'download'
      controller.resume()
    })
  }

  /** From here on it is the client that must do something: take what was written. */
  private awaitDelivery(): void {
    const { outgoing } = this
    this.phase = 'delivery'
    if (outgoing.socket !== null) this.wait('delivery', this.context.idleTimeoutMs)
    // Pipelined: the one whose turn it is is being watched.
    else
      outgoing.once('socket', () => {
        if (this.phase === 'delivery') this.wait('delivery', this.context.idleTimeoutMs)
      })
  }

  onResponseEnd(): void {
    if (this.phase === 'over') return
    if (!this.outgoing.writableEnded) this.outgoing.end()
    this.settle()
  }

  /** The house has said everything: it is over once the client has it too, nearly always at once. */
  private settle(): void {
    this.release()
    if (this.outgoing.writableLength === 0) this.finish()
    else {
      if (this.phase !== 'delivery') this.awaitDelivery()
      this.outgoing.once('finish', () => this.finish())
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.release()
    if (this.phase === 'over') return
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
    this.over()
    this.onClose()
  }

  private finish(): void {
    this.over()
    this.release()
    this.onFinish()
  }

  private onClientClose(): void {
    if (this.phase === 'over') return
    // Its last bytes are out, only undici's end is outstanding.
    if (this.outgoing.writableFinished) return
    this.failure = new GatewayError('client_closed_request')
    this.over()
    this.abandon()
    this.finish()
  }

  /** Without a controller the request waits for a connection: onRequestStart sees that it is over. */
  private abandon(): void {
    this.controller?.abort(new Error('given up'))
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
    this.abandon()
    this.release()
    this.fail(new GatewayError(clientStalled ? 'request_timeout' : 'upstream_timeout'))
  }
}
