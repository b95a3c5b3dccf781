import type { Middleware, ParameterizedContext } from 'koa'
import type { AccessEntry } from '../observability/log.ts'
import type { Exchange } from '../proxy/exchange.ts'
import type { DoorServerOptions } from './server.ts'
import type { DoorState } from './state.ts'

/** One line for each request, after its reply: proxied or the gateway's own, good or bad. */
export function createAccessLog({ access }: { access: (entry: AccessEntry) => void }): Middleware<DoorState> {
  return async function accessLog(ctx, next) {
    const startedAt = performance.now()
    await next()
    const { exchange } = ctx.state
    const forwarded = exchange?.route === undefined ? undefined : exchange
    access({
      requestId: ctx.state.requestId,
      method: ctx.req.method ?? '',
      path: ctx.state.path,
      status: statusOf(forwarded) ?? ctx.status,
      durationMs: Math.round((performance.now() - startedAt) * 100) / 100,
      clientAddress: ctx.state.caller.address,
      bytesSent: forwarded?.bytesSent || ownBytes(ctx),
      service: forwarded?.route?.service,
      instance: forwarded?.upstream?.address,
      attempts: forwarded?.attempts,
      errorCode: forwarded?.failure?.code ?? ctx.state.errorCode,
    })
  }
}

/** The same of what came to no request at all. */
export function createUnparsableLog({
  access,
}: {
  access: (entry: AccessEntry) => void
}): DoorServerOptions['onUnparsable'] {
  return (error, socket, requestId) =>
    access({
      requestId,
      method: '-',
      path: '-',
      status: error.status,
      durationMs: 0,
      clientAddress: ('remoteAddress' in socket && String(socket.remoteAddress)) || '-',
      bytesSent: 0,
      errorCode: error.code,
    })
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
