import type { ServerResponse } from 'node:http'
import type { Middleware, ParameterizedContext } from 'koa'
import { checkPath } from './begin.ts'
import type { DoorState } from './state.ts'

export interface Cors {
  /** Answers preflights of the listed origins and opens replies to them; to stand inside the error boundary. */
  readonly middleware: Middleware<DoorState>
  /** What becomes of a house's reply: see below. */
  readonly amendReply: (head: string[], outgoing: ServerResponse) => void
  /** What the middleware sets, for a reply that Koa does not write: flat names and values. */
  readonly headersFor: (origin: string | undefined) => readonly string[]
}

/** Every method that is forwarded: whether one is meant for a resource is the resource's to say. */
const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** What a front end may read besides the headers that the Fetch standard lets through (§2.2.6). */
const exposed = 'X-Request-Id, WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, ETag, Location'

/** Ten minutes: a list that has been made shorter is soon believed. Chromium keeps a preflight for 2 hours at most. */
const preflightSeconds = '600'

/** RFC 9110 §5.6.2: what is reflected is a list of field names and nothing else. */
const fieldNames = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/

/**
 * CORS (Fetch standard §3.2) for front ends on other hosts, who may send credentials. An origin is let in if it is
 * in the list, letter by letter; `null` and look-alikes never are. The preflight of a listed origin is answered here:
 * it carries no token, and no house has to know. Everything else of other origins is handled as ever (browsers send
 * simple requests without asking, a guarded route answers 401), only without a word of CORS in the reply.
 *
 * Not @koa/cors: it says nothing on an OPTIONS request that is no preflight, knows nothing of replies that Koa does
 * not write, and costs every request a promise.
 *
 * @param origins as `URL#origin` writes them
 */
export function createCors({ origins }: { readonly origins: readonly string[] }): Cors {
  const allowed = new Set(origins)
  return {
    middleware(ctx, next) {
      // Of every reply: a cache that keeps one made for nobody in particular would give it to a listed origin.
      ctx.set('Vary', 'Origin')
      const { origin } = ctx.req.headers
      if (origin === undefined || !allowed.has(origin)) return next()
      ctx.set('Access-Control-Allow-Origin', origin)
      ctx.set('Access-Control-Allow-Credentials', 'true')
      if (ctx.method === 'OPTIONS' && ctx.req.headers['access-control-request-method'] !== undefined) {
        return checkPath(ctx, async () => answerPreflight(ctx))
      }
      ctx.set('Access-Control-Expose-Headers', exposed)
      return next()
    },
    amendReply,
    headersFor(origin) {
      if (origin === undefined || !allowed.has(origin)) return ['Vary', 'Origin']
      return [
        ...['Vary', 'Origin', 'Access-Control-Allow-Origin', origin],
        ...['Access-Control-Allow-Credentials', 'true', 'Access-Control-Expose-Headers', exposed],
      ]
    },
  }
}

function answerPreflight(ctx: ParameterizedContext<DoorState>): void {
  const requested = ctx.get('Access-Control-Request-Headers')
  ctx.set('Access-Control-Allow-Methods', methods)
  if (fieldNames.test(requested)) ctx.set('Access-Control-Allow-Headers', requested)
  ctx.set('Access-Control-Max-Age', preflightSeconds)
  ctx.vary(['Access-Control-Request-Method', 'Access-Control-Request-Headers'])
  ctx.status = 204
}

/**
 * Makes a house's reply say what the gateway says: the house's own Access-Control-* go, since two of a kind or a
 * contradiction make browsers refuse the reply; its Vary is kept and added to. Only what it exposes is its own to
 * know, and is added to the gateway's.
 *
 * @param head flat list of lower-case names and values, changed in place; in `writeHead` its names replace those set
 *   before
 */
function amendReply(head: string[], outgoing: ServerResponse): void {
  let vary = ''
  let expose = ''
  let kept = 0
  for (let i = 0; i < head.length; i += 2) {
    const name = head[i]!
    const value = head[i + 1]!
    if (name === 'vary') vary += `${value}, `
    else if (name === 'access-control-expose-headers') expose += `, ${value}`
    else if (!name.startsWith('access-control-')) {
      head[kept] = name
      head[kept + 1] = value
      kept += 2
    }
  }
  head.length = kept
  if (vary !== '')
    head.push('vary', /(?:^|,)\s*(?:origin|\*)\s*,/i.test(vary) ? vary.slice(0, -2) : `${vary}Origin`)
  if (expose !== '' && outgoing.hasHeader('access-control-expose-headers')) {
    head.push('access-control-expose-headers', exposed + expose)
  }
}
