import { createRemoteJWKSet, customFetch, decodeJwt, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { ProviderErrors } from './provider-errors.ts'
import type { ProviderFetch } from './provider-fetch.ts'

/** What an ID token says of its user, once it is verified. */
export type IdTokenClaims = Readonly<Record<string, unknown>> & { readonly sub: string }

export interface IdTokenOptions {
  readonly clientId: string
  /** Those whose `iss` is accepted; `{tenantid}` stands for the token's own `tid` (Microsoft Entra). */
  readonly issuers: readonly string[]
  readonly jwksUrl: string
  readonly fetch: ProviderFetch
  readonly errors: ProviderErrors
  readonly timeoutMs: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Verifies an ID token (OpenID Connect Core §3.1.3.7): signature, issuer, audience, authorized party, times, nonce.
 * @param nonce undefined where whoever began the login has not told it: then it cannot be compared
 * @throws GatewayError (rejects with) `provider_bad_response`, or what asking for the keys ended with
 */
export type VerifyIdToken = (idToken: string, nonce: string | undefined) => Promise<IdTokenClaims>

/** Symmetric ones are left out: the client secret is no key of a provider's. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

export function createVerifyIdToken(options: IdTokenOptions): VerifyIdToken {
  const { clientId, issuers, fetch, errors, timeoutMs, now } = options
  const keys: JWTVerifyGetKey = createRemoteJWKSet(new URL(options.jwksUrl), {
    timeoutDuration: timeoutMs,
    [customFetch]: async (url) => {
      const { body } = await fetch.demand({ kind: 'keys', url }, AbortSignal.timeout(timeoutMs))
      return Response.json(body)
    },
  })
  return async (idToken, nonce) => {
    try {
      const issuer = issuers.map((template) => template.replace('{tenantid}', tenantOf(idToken)))
      const { payload } = await jwtVerify(idToken, keys, {
        algorithms,
        issuer,
        audience: clientId,
        requiredClaims: ['sub', 'iat', 'exp'],
        clockTolerance: 30,
        currentDate: new Date(now()),
      })
      const { aud, azp, sub } = payload
      const isForUs = !Array.isArray(aud) || aud.length === 1 || azp === clientId
      const isOurs = nonce === undefined || payload.nonce === nonce
      if (!isForUs || !isOurs || typeof sub !== 'string' || sub === '') throw new Error('claims')
      return { ...payload, sub }
    } catch (error) {
      const own = errors.from(error)
      throw own === error ? own : errors.badResponse('has sent an ID token that is not valid')
    }
  }
}

/**
 * Whether the ID token of a refresh is another user's than before (OpenID Connect Core §12.2). Nothing else of it is
 * used: it comes straight from the provider (§3.1.3.7), and one that cannot be read must not cost the tokens.
 */
export function isOfAnother(idToken: string | undefined, userId: string): boolean {
  if (idToken === undefined) return false
  try {
    return decodeJwt(idToken).sub !== userId
  } catch {
    return false
  }
}

/** Microsoft's tenants are issuers of their own, named by a GUID. */
function tenantOf(idToken: string): string {
  const { tid } = decodeJwt(idToken)
  return typeof tid === 'string' && /^[0-9a-f-]{36}$/i.test(tid) ? tid : '-'
}
