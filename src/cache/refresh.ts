import type { IncomingMessage } from 'node:http'
import type { Dispatcher } from 'undici'
import type { GatewayError } from '../errors.ts'
import { ExchangeAttempts } from '../proxy/exchange-attempts.ts'
import type { ExchangeContext } from '../proxy/exchange-context.ts'
import { responseHeaders } from '../proxy/headers.ts'
import type { Recorder } from '../proxy/recorder.ts'
import { forwardedTarget, type ProxyRoute } from '../proxy/routes.ts'

/**
 * Asks a house on behalf of the cache alone, behind the back of a client that was given a stale reply
 * (stale-while-revalidate, RFC 5861 §3). Picked, retried and limited as any request.
 */
export class Refresh extends ExchangeAttempts {
  private readonly recorder: Recorder

  constructor(context: ExchangeContext, incoming: IncomingMessage, recorder: Recorder) {
    super(context, '', incoming)
    this.recorder = recorder
  }

  /** @param headers as the house gets them */
  start(route: ProxyRoute, headers: string[]): void {
    this.url = forwardedTarget(this.url, route.cut)
    this.begin(route, headers, false)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.phase === 'over' || status < 200) return
    this.status = status
    this.phase = 'download'
    this.watch.rest()
    this.context.outliers.succeeded(this.route!.group, this.upstream!)
    try {
      const head = responseHeaders(headers, status, '')
      // Of a 304 nothing more is wanted, and nothing more comes: its connection stays.
      if (!this.recorder.begins(status, headers, head) && status === 304) return
    } catch (error) {
      controller.abort(error as Error)
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.phase !== 'over' && !this.recorder.data(chunk)) controller.abort(new Error('not to be stored'))
  }

  onResponseEnd(): void {
    if (this.phase === 'over') return
    this.recorder.ends()
    this.release()
    this.over()
    this.recorder.over(undefined)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.release()
    if (this.phase === 'over') return
    if (this.status === 0) this.attemptFailed(error, true)
    else this.fail(undefined)
  }

  protected fail(error: GatewayError | undefined): void {
    this.failure = error
    this.over()
    this.recorder.over(error)
  }

  protected timedOut(): void {
    if (this.phase === 'over') return
    this.phase = 'over'
    this.controller?.abort(new Error('given up'))
    this.release()
    this.fail(undefined)
  }
}
