import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import { GatewayError } from '../../src/errors.ts'
import type { Log } from './log.ts'

/** One member of a request that is not as it should be (RFC 9457 §3.1.5 shows this form). */
export interface MemberFault {
  /** JSON Pointer into the body, as a URI fragment: `#/email`. */
  readonly pointer: string
  readonly detail: string
}

interface ProblemOptions {
  /** For a person. Shown to the caller: never a secret or what was sent. */
  readonly detail?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly errors?: readonly MemberFault[]
}

/** An error that the caller is told of, with a stable code for programs. */
export class Problem extends Error {
  override name = 'Problem'
  readonly status: number
  readonly code: string
  readonly detail: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly errors: readonly MemberFault[]

  constructor(status: number, code: string, { detail, headers = {}, errors = [] }: ProblemOptions = {}) {
    super(detail ?? code)
    this.status = status
    this.code = code
    this.detail = detail
    this.headers = headers
    this.errors = errors
  }
}

/**
 * Every error as RFC 9457 problem details, in the shape the gateway uses. An unforeseen error is a bare 500:
 * its message and stack stay in the service.
 */
export function problems(log: Log): Middleware {
  return async (ctx, next) => {
    try {
      await next()
      if (ctx.status >= 400 && ctx.body == null) reply(ctx, { status: ctx.status })
    } catch (error) {
      const problem = foreseen(error) ?? { status: 500 }
      if (problem.status === 500) {
        log.line(`${ctx.method} failed: ${error instanceof Error ? error.name : 'unknown'}`)
      }
      reply(ctx, problem)
    }
  }
}

interface Told extends ProblemOptions {
  readonly status: number
  readonly code?: string
}

/** Ours, the database's, and http-errors (ctx.throw, @koa/router), which mark what may be read with `expose`. */
function foreseen(error: unknown): Told | undefined {
  if (error instanceof Problem) return told(error, error.errors)
  if (error instanceof GatewayError) return told(error)
  if (!(error instanceof Error)) return undefined
  const { status, expose, message } = error as Error & { status?: unknown; expose?: unknown }
  return typeof status === 'number' && expose === true ? { status, detail: message } : undefined
}

function told(error: Problem | GatewayError, errors: readonly MemberFault[] = []): Told {
  const { status, code, detail, headers } = error
  return { status, code, headers, errors, ...(detail !== undefined && { detail }) }
}

function reply(ctx: Context, { status, code, detail, headers = {}, errors = [] }: Told): void {
  const title = STATUS_CODES[status] ?? 'Error'
  const requestId = ctx.get('x-request-id')
  ctx.status = status
  ctx.set({ ...headers })
  ctx.type = 'application/problem+json'
  ctx.body = JSON.stringify({
    type: 'about:blank',
    title,
    status,
    code: code ?? title.toLowerCase().replace(/[^a-z]+/g, '_'),
    ...(detail !== undefined && detail !== title && { detail }),
    ...(errors.length > 0 && { errors }),
    ...(requestId !== '' && { request_id: requestId }),
  })
}
