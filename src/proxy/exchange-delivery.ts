import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../errors.ts'
import { ExchangeAttempts } from './exchange-attempts.ts'
import type { ExchangeContext } from './exchange-context.ts'
import type { ForwardedIdentity } from './headers.ts'
import type { Recorder } from './recorder.ts'
import { endWith } from './reply.ts'

const nothing = Buffer.alloc(0)
const pieceBytes = 64 * 1024

/** What is said to the client, whoever says it, and when that is over. */
export abstract class ExchangeDelivery extends ExchangeAttempts {
  protected readonly outgoing: ServerResponse
  protected readonly identity: ForwardedIdentity
  /** Of a route with a cache. */
  recorder: Recorder | undefined
  /** The client has its reply; what the house still says is nobody's. */
  protected answeredInstead = false
  private followsClient = false

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

  /** Resolves once everything has been said to a client that is answered without a house. */
  finished(begin: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.onFinish = resolve
      begin()
    })
  }

  protected followClient(): void {
    if (this.followsClient) return
    this.followsClient = true
    this.outgoing.on('close', () => this.onClientClose())
  }

  /**
   * Answers with a reply that is here as a whole, whether or not a house has been asked.
   *
   * @param head name, value, name, value …, without what is said of every reply
   * @param body undefined where none follows
   */
  answer(status: number, head: readonly string[], body: Buffer | undefined): void {
    const { outgoing } = this
    const own = ['x-request-id', this.identity.requestId, ...head]
    if (this.context.draining()) own.push('connection', 'close')
    this.context.amendReply?.(own, outgoing)
    this.followClient()
    this.failure = undefined
    this.answeredInstead = true
    this.phase = 'download'
    this.watch.rest()
    this.status = status
    outgoing.writeHead(status, own)
    this.deliver(body ?? nothing, 0)
  }

  /** In pieces, so that a client that is slow but takes them is told from one that takes nothing. */
  private deliver(body: Buffer, from: number): void {
    let at = from
    while (body.length - at > pieceBytes) {
      const piece = body.subarray(at, at + pieceBytes)
      at += pieceBytes
      this.bytesSent += pieceBytes
      if (this.outgoing.write(piece)) continue
      this.awaitDelivery()
      this.outgoing.once('drain', () => {
        if (this.phase === 'delivery') this.deliver(body, at)
      })
      return
    }
    const rest = body.subarray(at)
    this.bytesSent += rest.length
    if (rest.length === 0) this.outgoing.end()
    else endWith(this.outgoing, rest, from === 0 && at === 0)
    this.phase = 'download'
    this.settle()
  }

  /** From here on it is the client that must do something: take what was written. */
  protected awaitDelivery(): void {
    const { outgoing } = this
    this.phase = 'delivery'
    if (outgoing.socket !== null) this.wait('delivery', this.context.idleTimeoutMs)
    // Pipelined: the one whose turn it is is being watched.
    else
      outgoing.once('socket', () => {
        if (this.phase === 'delivery') this.wait('delivery', this.context.idleTimeoutMs)
      })
  }

  /** The house has said everything: it is over once the client has it too, nearly always at once. */
  protected settle(): void {
    this.release()
    if (this.outgoing.writableLength === 0) this.finish()
    else {
      if (this.phase !== 'delivery') this.awaitDelivery()
      this.outgoing.once('finish', () => this.finish())
    }
  }

  protected finish(): void {
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
  protected abandon(): void {
    this.controller?.abort(new Error('given up'))
  }

  protected override over(): void {
    super.over()
    this.recorder?.over(this.failure)
  }
}
