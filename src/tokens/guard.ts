import { GatewayError } from '../errors.ts'
import type { Identity } from './identity.ts'
import type { Revocations } from './revocations.ts'
import type { Pass, VerifiedTokens } from './verified.ts'
import { invalidToken, type Verifier } from './verify.ts'

/** What the guard needs to know of a route. */
interface GuardedRoute {
  readonly auth: 'none' | 'optional' | 'required'
  readonly scopes: readonly string[]
  readonly service: string
}

/**
 * Decides whether a request may pass, before anything of it is forwarded.
 *
 * @param rawHeaders name, value, name, value …, as they came
 * @returns who is calling, undefined for nobody in particular; at once for a token that is known, as a promise
 *   for one that has to be verified first
 * @throws GatewayError (or rejects with) `authentication_required`, `invalid_token` (401), `insufficient_scope`
 *   (403), `token_state_unknown` (503), each with its challenge (RFC 6750 §3)
 */
export type Guard = (
  route: GuardedRoute,
  rawHeaders: readonly string[],
) => Pass | undefined | Promise<Pass | undefined>

export interface GuardOptions {
  readonly verifier: Pick<Verifier, 'verify'>
  readonly verified: VerifiedTokens
  /** Undefined where the gateway has no database, and so no tokens of its own. */
  readonly revocations: Revocations | undefined
  /** The gateway's own, as in `iss`: only its tokens are revoked here. */
  readonly issuer: string
  /** Development only: strings that pass for tokens. */
  readonly dummies: { find(token: string): Identity | undefined } | undefined
  /** Under which names a house is told who is calling. */
  readonly headers: { readonly id: string; readonly scope: string; readonly issuer: string }
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * For how long a token of a trusted issuer is remembered; then it is verified anew, by the keys that the issuer has
 * by then. One of the gateway's own is asked after among the revocations each time, and is remembered to its end.
 */
const foreignSeconds = 600

/** The guard of routes that ask who is calling: see docs/tokens.md for the journey. */
export function createGuard(options: GuardOptions): Guard {
  const { verifier, verified, revocations, issuer, dummies, headers, now = Date.now } = options

  function passOf(identity: Identity): Pass {
    const { subject, scope, issuer: by } = identity
    const told = [headers.id, subject, headers.issuer, by]
    if (scope !== '') told.push(headers.scope, scope)
    return { identity, headers: told }
  }

  /** Asked every time, remembered or not. */
  function admit(pass: Pass, route: GuardedRoute): Pass {
    const { identity } = pass
    if (identity.issuer === issuer && revocations !== undefined) {
      if (revocations.isRevoked(identity)) {
        throw invalidToken('The access token is not valid. It was revoked.')
      }
      if (!revocations.isFresh()) throw stale()
    }
    return withScopes(pass, route)
  }

  return (route, rawHeaders) => {
    if (route.auth === 'none') return undefined
    const token = bearerToken(rawHeaders)
    if (token === undefined) {
      if (route.auth === 'optional') return undefined
      throw new GatewayError('authentication_required', {
        detail: `The service ${route.service} asks for a caller's token.`,
        headers: { 'WWW-Authenticate': 'Bearer' },
      })
    }
    const dummy = dummies?.find(token)
    if (dummy !== undefined) return withScopes(passOf(dummy), route)
    const known = verified.get(token, now() / 1000)
    if (known !== undefined) return admit(known, route)
    return verifier.verify(token).then(({ identity }) => {
      const pass = passOf(identity)
      const { expiresAt } = identity
      const until =
        identity.issuer === issuer ? expiresAt : Math.min(expiresAt, now() / 1000 + foreignSeconds)
      verified.add(token, pass, until)
      return admit(pass, route)
    })
  }
}

function withScopes(pass: Pass, { scopes }: GuardedRoute): Pass {
  for (const scope of scopes) {
    if (pass.identity.scopes.has(scope)) continue
    const needed = scopes.join(' ')
    throw new GatewayError('insufficient_scope', {
      detail: `The access token lacks a scope. Needed: ${needed}`,
      headers: { 'WWW-Authenticate': `Bearer error="insufficient_scope", scope="${needed}"` },
    })
  }
  return pass
}

function stale(): GatewayError {
  return new GatewayError('token_state_unknown', {
    detail: 'Whether the access token was revoked cannot be known now.',
    headers: { 'Retry-After': '5' },
  })
}

/**
 * The token of `Authorization: Bearer …` (RFC 6750 §2.1); undefined where there is none, or other credentials,
 * which are the house's business. Node keeps the first of several headers: here several are a forgery.
 * @throws GatewayError `invalid_token`, also where it says Bearer and goes on in another way than by a space and a
 *   token: what was meant is not for a house to guess
 */
function bearerToken(rawHeaders: readonly string[]): string | undefined {
  let credentials: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length !== 13 || name.toLowerCase() !== 'authorization') continue
    if (credentials !== undefined) throw invalidToken('There is more than one Authorization header.')
    credentials = rawHeaders[i + 1]
  }
  if (credentials === undefined || !bearerScheme.test(credentials)) return undefined
  const token = /^.{6} +([^ \t].*)$/s.exec(credentials)?.[1]
  if (token === undefined) throw invalidToken('Expected Bearer, a space and the token.')
  return token
}

/** Followed by nothing that the name of a scheme goes on with (RFC 9110 §5.6.2, §11.1). */
const bearerScheme = /^bearer(?![\w!#$%&'*+.^`|~-])/i
