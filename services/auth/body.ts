import { bodyParser } from '@koa/bodyparser'
import type { Context, Middleware } from 'koa'
import type { z } from 'zod'
import { type MemberFault, Problem } from './problem.ts'

const limit = '64kb'
const longestNameShown = 40

/** Reads a JSON body of at most 64 KB into `ctx.request.body`; what is none is a 400, 413 or 415. */
export function jsonBody(): Middleware {
  const parse = bodyParser({ enableTypes: ['json'], jsonLimit: limit, onError: refuse })
  return (ctx, next) => {
    if (ctx.is('application/json') !== 'application/json') {
      throw new Problem(415, 'unsupported_media_type', { detail: 'The body must be application/json.' })
    }
    return parse(ctx, next)
  }
}

/**
 * What the body says by this schema.
 * @throws Problem `invalid_request` (400) that names every member at fault, and quotes none
 */
export function parseBody<T>(ctx: Context, schema: z.ZodType<T>): T {
  const { data, error } = schema.safeParse(ctx.request.body)
  if (error === undefined) return data as T
  const errors = error.issues.flatMap(memberFaults)
  const detail = errors
    .map(({ pointer, detail }) => `${pointer.slice(2) || 'the body'}: ${detail}`)
    .join('; ')
  throw new Problem(400, 'invalid_request', { detail, errors })
}

function memberFaults(issue: z.core.$ZodIssue): MemberFault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: pointerTo([...issue.path, key]),
      detail: 'is not known here',
    }))
  }
  return [{ pointer: pointerTo(issue.path), detail: issue.message }]
}

/** RFC 6901 §6. */
function pointerTo(path: readonly PropertyKey[]): string {
  const names = path.map((name) => String(name).slice(0, longestNameShown).toWellFormed())
  return `#/${names.map((name) => encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
}

/** co-body and raw-body: only the status is taken, since their messages quote the body. */
function refuse(error: Error): never {
  const { status } = error as Error & { status?: unknown }
  if (status === 413) {
    // What is left of the body is not read: the connection cannot carry another request.
    const headers = { Connection: 'close' }
    throw new Problem(413, 'payload_too_large', { detail: `The body may have at most ${limit}.`, headers })
  }
  if (status === 415) {
    throw new Problem(415, 'unsupported_media_type', { detail: 'The encoding of the body is not known.' })
  }
  throw new Problem(400, 'invalid_request', { detail: 'The body is not a JSON object.' })
}
