import type { Middleware, ParameterizedContext } from 'koa'
import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'
import { stackOf } from '../observability/stack.ts'
import { lingerAfterReply } from './linger.ts'
import { problemMediaType, toOAuthProblem, toProblem } from './problem.ts'
import type { SecureReply } from './security-headers.ts'
import type { DoorState } from './state.ts'

type Context = ParameterizedContext<DoorState>

/**
 * The one place where an error becomes a reply.
 */
export function createErrorBoundary({
  log,
  draining,
  secureReply = () => {},
}: {
  log: Log
  draining: () => boolean
  secureReply?: SecureReply
}): Middleware<DoorState> {
  return async function errorBoundary(ctx, next) {
    try {
      await next()
    } catch (thrown) {
      // koa-proxies rejects with an error of its own making; the exchange knows the real one.
      const error = ctx.state.exchange?.failure ?? asGatewayError(thrown, ctx.state.requestId, log)
      ctx.state.errorCode = error.code
      reply(ctx, error, secureReply)
    }
    if (ctx.res.headersSent) return
    ctx.set('X-Request-Id', ctx.state.requestId)
    if (draining()) ctx.set('Connection', 'close')
  }
}

/** What is not a GatewayError is a bug: logged with its stack, and `internal_error` to everybody else. */
export function asGatewayError(thrown: unknown, requestId: string, log: Log): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  log.error({ requestId, stack: stackOf(thrown) }, 'unexpected error while handling a request')
  return new GatewayError('internal_error', { cause: thrown })
}

const ofTheBody = /^(?:content-.*|etag|last-modified|expires|accept-ranges)$/

function reply(ctx: Context, error: GatewayError, secureReply: SecureReply): void {
  if (!ctx.writable) return
  if (ctx.res.headersSent) {
    // Never a clean end of half a reply.
    ctx.res.destroy()
    return
  }
  ctx.respond = true
  // What had been said of another body is not true of this one.
  for (const name of ctx.res.getHeaderNames()) if (ofTheBody.test(name)) ctx.remove(name)
  secureReply(ctx)
  ctx.status = error.status
  ctx.body = ctx.state.oauthErrors
    ? toOAuthProblem(error, ctx.state.requestId)
    : toProblem(error, ctx.state.requestId)
  ctx.type = problemMediaType
  ctx.set('Cache-Control', 'no-store')
  ctx.set(error.headers as Record<string, string>)
  if (!ctx.req.complete) {
    ctx.set('Connection', 'close')
    lingerAfterReply(ctx.req, ctx.res)
  }
}
