import type { Middleware } from 'koa'
import type { Tracing } from '../observability/tracing.ts'
import type { IdentifyCaller } from './forwarded.ts'
import { checkHost } from './host.ts'
import { checkTarget } from './path.ts'
import { requestId } from './request-id.ts'
import type { DoorState } from './state.ts'
import { beginTrace } from './trace-request.ts'

export interface BeginOptions {
  readonly identify: IdentifyCaller
  /** Undefined where traces are off. */
  readonly tracing?: Pick<Tracing, 'begin'> | undefined
}

/** The first step: gives the request its id and its place in a trace, and finds out who is at the other end. */
export function createBegin({ identify, tracing }: BeginOptions): Middleware<DoorState> {
  return function begin(ctx, next) {
    ctx.state.requestId = requestId(ctx.req.rawHeaders)
    ctx.state.caller = identify(ctx.req)
    ctx.state.path = '-'
    ctx.state.trace = beginTrace(ctx.req, ctx.state.caller, tracing)
    return next()
  }
}

/** From here on there is one path: what is matched and authorised is what is forwarded. */
export const checkPath: Middleware<DoorState> = (ctx, next) => {
  const { target, path } = checkTarget(ctx.req.url ?? '/')
  ctx.req.url = target
  ctx.state.path = path
  checkHost(ctx.req)
  return next()
}
