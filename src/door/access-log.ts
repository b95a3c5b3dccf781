import type { Middleware, ParameterizedContext } from 'koa'
import type { AccessEntry } from '../observability/log.ts'
import type { Exchange } from '../proxy/exchange.ts'
import type { CountRequests } from './count-requests.ts'
import { probes } from './health.ts'
import type { DoorServerOptions } from './server.ts'
import type { DoorState } from './state.ts'

export interface AccessLogOptions {
  readonly access: (entry: AccessEntry) => void
  readonly counted: CountRequests
}

/**
 * One line for each request, after its reply: proxied or the gateway's own, good or bad. Only a probe that is well is
 * counted and no more: a line every few seconds would say nothing, and hide the others.
 */
export function createAccessLog({ access, counted }: AccessLogOptions): Middleware<DoorState> {
  return async function accessLog(ctx, next) {
    const startedAt = performance.now()
    counted.begin()
    await next()
    const { exchange, path, trace } = ctx.state
    const forwarded = exchange?.route === undefined ? undefined : exchange
    const method = ctx.req.method ?? ''
    const status = statusOf(forwarded) ?? ctx.status
    const durationMs = performance.now() - startedAt
    const entry: AccessEntry = {
      requestId: ctx.state.requestId,
      traceId: trace?.traceId,
      method,
      route: counted.end(path, forwarded?.route, method, status, durationMs),
      path,
      status,
      durationMs,
      clientAddress: ctx.state.caller.address,
      subject: ctx.state.subject,
      bytesReceived: forwarded?.bytesReceived || undefined,
      bytesSent: forwarded?.bytesSent || ownBytes(ctx),
      service: forwarded?.route?.service,
      instance: forwarded?.upstream?.address,
      attempts: forwarded?.attempts,
      cache: forwarded?.cacheStatus,
      errorCode: forwarded?.failure?.code ?? ctx.state.errorCode,
    }
    if (forwarded !== undefined || status !== 200 || !probes.has(path)) access(entry)
    trace?.span?.end(entry)
  }
}

/** The same of what came to no request at all. */
export function createUnparsableLog({
  access,
  counted,
}: AccessLogOptions): DoorServerOptions['onUnparsable'] {
  return (error, socket, requestId) => {
    counted.begin()
    access({
      requestId,
      method: '-',
      route: counted.end('-', undefined, '-', error.status, 0),
      path: '-',
      status: error.status,
      durationMs: 0,
      clientAddress: ('remoteAddress' in socket && String(socket.remoteAddress)) || '-',
      bytesSent: 0,
      errorCode: error.code,
    })
  }
}

/** The body that Koa is about to write, where it is Koa that writes. */
function ownBytes(ctx: ParameterizedContext<DoorState>): number {
  return ctx.respond === false || ctx.method === 'HEAD' ? 0 : (ctx.length ?? 0)
}

/**
 * A client that left is a 499 whatever was sent before; otherwise what the house said, if it said anything, or why it
 * did not: where the connection has been ended meanwhile, nobody is told.
 */
function statusOf(exchange: Exchange | undefined): number | undefined {
  if (exchange === undefined) return undefined
  if (exchange.failure?.code === 'client_closed_request') return exchange.failure.status
  return exchange.status === 0 ? exchange.failure?.status : exchange.status
}
