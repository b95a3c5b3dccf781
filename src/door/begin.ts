import type { Middleware } from 'koa'
import type { IdentifyCaller } from './forwarded.ts'
import { checkHost } from './host.ts'
import { checkTarget } from './path.ts'
import { requestId } from './request-id.ts'
import type { DoorState } from './state.ts'

/** The first step: gives the request its id and finds out who is at the other end. */
export function createBegin({ identify }: { identify: IdentifyCaller }): Middleware<DoorState> {
  return function begin(ctx, next) {
    ctx.state.requestId = requestId(ctx.req.rawHeaders)
    ctx.state.caller = identify(ctx.req)
    ctx.state.path = '-'
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
