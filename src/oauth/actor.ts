import { GatewayError } from '../errors.ts'
import { checkBody, invalidRequest, parseForm } from '../tokens/body.ts'
import type { Guard } from '../tokens/guard.ts'
import { invalidToken } from '../tokens/verify.ts'
import { namedSubjectSchema } from './schemas.ts'
import type { Actor, OAuthContext, OAuthStep } from './state.ts'

export interface ActorOptions {
  /** Judges Bearer tokens, as on a guarded route. */
  readonly guard: Guard
  /** The gateway's own, as in `iss`: a subject of another issuer's is nobody here. */
  readonly issuer: string
}

/** As a route would say it. Whether there is a token at all is decided here: a client needs none. */
const route = { auth: 'optional', scopes: [], service: 'oauth' } as const

/**
 * Finds out for whom something is done, after `identifyClient`: a Bearer token's subject, or the `subject` that a
 * client which has shown its secret names (in the query of GET and DELETE, in the body of POST).
 * @throws GatewayError (rejects with) `authentication_required`, `invalid_token`, `token_state_unknown`,
 *   `invalid_request` where a client names nobody, or a user somebody else
 */
export function createAct({ guard, issuer }: ActorOptions): OAuthStep {
  async function actorOf(ctx: OAuthContext): Promise<Actor> {
    const { client } = ctx.state
    const { authorization } = ctx.req.headers
    if (client !== undefined && authorization !== undefined && !isBasic(authorization)) {
      throw invalidRequest('Expected a token in the Authorization header or a client in the body, not both.')
    }
    if (client?.authenticated) {
      const { subject, where } = namedSubject(ctx)
      if (subject === undefined) throw invalidRequest(`subject: expected in the ${where}: whose connections`)
      return { subject, kind: 'client' }
    }
    const pass = await guard(route, ctx.req.rawHeaders)
    if (pass === undefined) throw authenticationRequired(ctx)
    const { identity } = pass
    if (identity.issuer !== issuer) throw invalidToken('The access token is not valid. Another issued it.')
    const { subject = identity.subject } = namedSubject(ctx)
    if (subject !== identity.subject)
      throw invalidRequest('subject: expected your own; only a client may name others')
    return { subject, kind: 'user' }
  }

  return async function act(ctx, next) {
    const actor = await actorOf(ctx as OAuthContext)
    ctx.state.actor = actor
    // Whom a client names is not who is calling.
    if (actor.kind === 'user') ctx.state.subject = actor.subject
    return next()
  }
}

const isBasic = (authorization: string) => /^basic /i.test(authorization)

function namedSubject(ctx: OAuthContext): { subject?: string | undefined; where: string } {
  const [members, where] =
    ctx.method === 'POST' ? [ctx.state.body, 'body'] : [parseForm(ctx.querystring), 'query']
  return { ...checkBody(namedSubjectSchema, members), where }
}

/** Both ways in are named; but a browser would ask its user for the name and password of a client. */
function authenticationRequired(ctx: OAuthContext): GatewayError {
  const isOfBrowser = ctx.get('Sec-Fetch-Site') !== ''
  return new GatewayError('authentication_required', {
    detail: "A user's access token is asked for, or a client of the gateway that says for whom.",
    headers: {
      'WWW-Authenticate': isOfBrowser ? 'Bearer' : 'Bearer, Basic realm="munjigi", charset="UTF-8"',
    },
  })
}
