import type { JWTPayload } from 'jose'
import { GatewayError } from '../errors.ts'
import type { Database } from '../persistence/database.ts'
import { checkBody } from './body.ts'
import { requireClient } from './clients.ts'
import type { Denials } from './denials.ts'
import type { Dummies } from './dummies.ts'
import type { Identity } from './identity.ts'
import { type Introspection, introspectSchema } from './schemas.ts'
import { isRandomTokenShaped } from './secrets.ts'
import { findRefreshToken } from './sessions.ts'
import type { TokenContext, TokenStep } from './state.ts'
import type { Verifier } from './verify.ts'

/**
 * Reads an access token of the gateway's own, for whatever audience; undefined for one that is not valid or was
 * revoked.
 */
export type Inspect = (
  token: string,
) => Promise<{ readonly identity: Identity; readonly claims: JWTPayload } | undefined>

/** @throws (rejects with) whatever says that it cannot be known now */
export function createInspect(
  verifier: Pick<Verifier, 'verifyOwn'>,
  denials: Pick<Denials, 'isDenied'>,
): Inspect {
  return async (token) => {
    const found = await verifier.verifyOwn(token).catch(unlessInvalid)
    if (found === undefined) return undefined
    const { tokenId, sessionId } = found.identity
    return denials.isDenied(tokenId, sessionId) ? undefined : found
  }
}

function unlessInvalid(error: { code?: unknown }): undefined {
  if (error.code !== 'invalid_token') throw error
}

export interface IntrospectOptions {
  readonly database: Pick<Database, 'run'>
  readonly inspect: Inspect
  readonly denials: Pick<Denials, 'isFresh'>
  /** Development only. */
  readonly dummies: Pick<Dummies, 'find'> | undefined
}

/**
 * `POST /tokens/verify` (RFC 7662), for a client, or for whoever bears that very token. Access tokens are answered
 * from the signature and what is known of revocations, so that the database may be away for a while.
 */
export function createIntrospect({ database, inspect, denials, dummies }: IntrospectOptions): TokenStep {
  async function introspectAccessToken(token: string): Promise<Introspection> {
    const found = await inspect(token)
    if (found === undefined) return inactive
    if (!denials.isFresh()) {
      throw new GatewayError('token_state_unknown', {
        detail: 'Whether the token was revoked cannot be known now.',
        headers: { 'Retry-After': '5' },
      })
    }
    const { iat, aud, jti } = found.claims
    return { ...introspectionOf(found.identity), iat: iat!, aud: aud!, jti: jti! }
  }

  async function introspectRefreshToken(token: string): Promise<Introspection> {
    const found = await database.run((em) => findRefreshToken(em, token))
    if (!found?.active) return inactive
    return {
      active: true,
      token_type: 'refresh_token',
      sub: found.subject,
      client_id: found.clientId,
      ...(found.scope !== '' && { scope: found.scope }),
      exp: Math.floor(found.expiresAt),
    }
  }

  return async function introspect(ctx) {
    const { token } = checkBody(introspectSchema, ctx.state.body)
    const dummy = dummies?.find(token)
    const isRefreshToken = dummy === undefined && isRandomTokenShaped(token)
    if (isRefreshToken || !bears(ctx, token)) requireClient(ctx.state.client)
    if (dummy !== undefined) ctx.body = introspectionOf(dummy)
    else ctx.body = await (isRefreshToken ? introspectRefreshToken(token) : introspectAccessToken(token))
  }
}

const inactive = { active: false } as const

/** What an access token of the gateway's own has in common with a dummy. */
const introspectionOf = ({ subject, clientId, scope, expiresAt, issuer }: Identity) => ({
  active: true as const,
  token_type: 'Bearer' as const,
  sub: subject,
  client_id: clientId!,
  ...(scope !== '' && { scope }),
  exp: expiresAt,
  iss: issuer,
})

/** Whether the request is authorised with the token itself (RFC 7662 §2.1). */
function bears({ req }: TokenContext, token: string): boolean {
  const [, borne] = /^bearer +(.*)$/i.exec(req.headers.authorization ?? '') ?? []
  return borne === token
}
