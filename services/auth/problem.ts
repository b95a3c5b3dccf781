import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import type { Log } from './log.ts'

/**
 * Every error as RFC 9457 problem details, in the shape the gateway uses. An unforeseen error is a bare 500:
 * its message and stack stay in the service.
 */
export function problems(log: Log): Middleware {
  return async (ctx, next) => {
    try {
      await next()
      if (ctx.status >= 400 && ctx.body == null) reply(ctx, ctx.status)
    } catch (error) {
      const { status, message } = foreseen(error) ?? { status: 500, message: undefined }
      if (status === 500) log.line(`${ctx.method} failed: ${error instanceof Error ? error.name : 'unknown'}`)
      reply(ctx, status, message)
    }
  }
}

/** http-errors (ctx.throw, @koa/router) mark what a caller may read with `expose`. */
function foreseen(error: unknown): { status: number; message: string } | undefined {
  if (!(error instanceof Error)) return undefined
  const { status, expose, message } = error as Error & { status?: unknown; expose?: unknown }
  return typeof status === 'number' && expose === true ? { status, message } : undefined
}

function reply(ctx: Context, status: number, detail?: string): void {
  const title = STATUS_CODES[status] ?? 'Error'
  const requestId = ctx.get('x-request-id')
  ctx.status = status
  ctx.type = 'application/problem+json'
  ctx.body = JSON.stringify({
    type: 'about:blank',
    title,
    status,
    code: title.toLowerCase().replace(/[^a-z]+/g, '_'),
    ...(detail !== undefined && detail !== title && { detail }),
    ...(requestId !== '' && { request_id: requestId }),
  })
}
