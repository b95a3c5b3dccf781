import { bodyParser } from '@koa/bodyparser'
import type { Context, Next } from 'koa'
import type { z } from 'zod'
import { GatewayError } from '../errors.ts'
import type { TokenStep } from './state.ts'
import { parseStrictJson } from './strict-json.ts'

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'

/** A member that is an object; in a form its value is JSON. */
const objectMembers: ReadonlySet<string> = new Set(['claims'])

// Only the reading is its business: how forms and JSON are understood here is stricter than what it offers.
const read = bodyParser({
  enableTypes: ['text'],
  extendTypes: { text: [json, form] },
  textLimit: '64kb',
  onError: (error) => {
    throw unreadable(error)
  },
}) as unknown as (ctx: Context, next: Next) => Promise<unknown>

/**
 * Reads the body, JSON or a form, into `ctx.state.body`. No body is an empty one.
 * @param timeoutMs how long the whole of it may take to come: nobody needs that long for so little
 * @throws GatewayError `unsupported_media_type`, `payload_too_large`, `invalid_request`, `request_timeout`
 */
export function createReadBody(timeoutMs = 10_000): TokenStep {
  return async function readBody(ctx, next) {
    const type = ctx.is(json, form)
    const encoding = ctx.get('Content-Encoding')
    if ((type === false && ctx.request.length !== 0) || (encoding !== '' && encoding !== 'identity')) {
      throw new GatewayError('unsupported_media_type', {
        detail: `Expected a body of ${json} or ${form}, not compressed.`,
        headers: { Accept: `${json}, ${form}`, 'Accept-Encoding': 'identity' },
      })
    }
    await within(
      timeoutMs,
      read(ctx as unknown as Context, async () => {}),
    )
    const text = (ctx.request as { rawBody?: string }).rawBody ?? ''
    ctx.state.body = type === form ? parseForm(text) : parseJson(text)
    return next()
  }
}

/** The error boundary closes the connection of a request that was not read to its end. */
async function within(ms: number, reading: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new GatewayError('request_timeout')), ms)
  try {
    await Promise.race([reading, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Checks a body against its schema; what is wrong is named member by member, its value never.
 * @throws GatewayError `invalid_request`
 */
export function checkBody<Schema extends z.ZodType>(
  schema: Schema,
  body: Readonly<Record<string, unknown>>,
): z.output<Schema> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw invalidRequest(result.error.issues.map(explain).join('; '))
}

/** A request that breaks the rules, and which one. */
export function invalidRequest(detail: string): GatewayError {
  return new GatewayError('invalid_request', { detail })
}

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `${issue.keys.map(nameOf).join(', ')}: not known here`
  const name = issue.path.map((key) => nameOf(String(key))).join('.')
  return name === '' ? issue.message : `${name}: ${issue.message}`
}

/** Names come from outside too: what does not look like one may be a secret in the wrong place. */
const nameOf = (name: string) => (/^[A-Za-z0-9_-]{1,32}$/.test(name) ? name : 'a member')

function parseJson(text: string): Record<string, unknown> {
  if (text.trim() === '') return {}
  const { value, fault } = parseStrictJson(text)
  if (fault !== undefined) throw invalidRequest(`The body is not accepted: ${fault}.`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidRequest('The body is not accepted: expected a JSON object.')
  }
  return value as Record<string, unknown>
}

/** A form, or a query: a parameter comes once, and one without a value counts as left out (RFC 6749 §3.2). */
export function parseForm(text: string): Record<string, unknown> {
  const members = new Map<string, unknown>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (members.has(name)) throw invalidRequest(`${nameOf(name)}: expected once`)
    members.set(name, value)
  }
  for (const [name, value] of members) {
    if (value === '') members.delete(name)
    else if (objectMembers.has(name)) {
      const parsed = parseStrictJson(value as string)
      if (parsed.fault !== undefined) throw invalidRequest(`${name}: expected a JSON object, ${parsed.fault}`)
      members.set(name, parsed.value)
    }
  }
  return Object.fromEntries(members)
}

/** raw-body's errors. */
function unreadable(error: Error): GatewayError {
  const { type } = error as { type?: unknown }
  if (type === 'entity.too.large') {
    return new GatewayError('payload_too_large', {
      detail: 'Expected a body of at most 64 KB.',
      cause: error,
    })
  }
  return new GatewayError('invalid_request', {
    detail: 'The body could not be read to its end.',
    cause: error,
  })
}
