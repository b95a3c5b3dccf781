import { decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { GatewayError } from '../errors.ts'
import { denialMarginSeconds } from './denials.ts'
import { foreignIdentity, type Identity, ownIdentity } from './identity.ts'
import type { TrustedIssuer } from './issuers.ts'
import type { KeyRing } from './keys.ts'
import { longestAccessTokenLifetimeSeconds } from './lifetimes.ts'

/** A token that was verified, and what it says. */
interface VerifiedToken {
  readonly identity: Identity
  readonly claims: JWTPayload
}

export interface Verifier {
  /**
   * Checks a token as the door does: by signature, type, issuer, audience and times (RFC 9068 §4, RFC 8725).
   * Whether it was revoked is not asked here.
   * @throws GatewayError `invalid_token`; `token_state_unknown` where the keys for it cannot be had now
   */
  verify(token: string): Promise<VerifiedToken>
  /** The same for a token of the gateway's own, whatever audience it is for. */
  verifyOwn(token: string): Promise<VerifiedToken>
}

export interface VerifierOptions {
  /** The gateway's own; undefined where it has no database and issues no tokens. */
  readonly keys: Pick<KeyRing, 'find' | 'active'> | undefined
  readonly issuer: string
  readonly audience: string
  readonly trusted: readonly TrustedIssuer[]
}

/** Longer ones are no token of anybody's that fits into a header beside others. */
const longestToken = 8192
const shape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/** What other issuers may sign with: asymmetric all. */
const algorithms = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
  'Ed25519',
]
/** What ID tokens have and access tokens have not (OpenID Connect Core §2, §3.1.3.6, §3.3.2.11). */
const idTokenClaims = ['nonce', 'at_hash', 'c_hash'] as const
/** For the clocks of others (their `nbf`); the gateway's own tokens have none and are judged to the second. */
const clockToleranceSeconds = 30

/** Checks tokens with jose. Nothing that a token's header points to (`jku`, `x5u`, `jwk`) is ever looked at. */
export function createVerifier({ keys, issuer, audience, trusted }: VerifierOptions): Verifier {
  const byIssuer = new Map(trusted.map((one) => [one.issuer, one]))

  async function own(token: string, forAudience: string | undefined): Promise<VerifiedToken> {
    const { kid } = decodeProtectedHeader(token)
    const key = kid === undefined ? undefined : keys?.find(kid)
    if (kid === undefined || key === undefined) {
      if (keys !== undefined && keys.active() === undefined) throw unknownForNow()
      throw new Error('no such key')
    }
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['ES256'],
      issuer,
      ...(forAudience !== undefined && { audience: forAudience }),
      typ: 'at+jwt',
      requiredClaims: ['aud', 'exp', 'iat', 'jti', 'sub', 'client_id', 'sid'],
    })
    // What cannot be denied, by its ids and until its end, must not pass: not even one signed with our key.
    const { exp, iat, jti, sid } = payload
    const lifetime = exp! - iat!
    if (!Number.isSafeInteger(exp) || !(lifetime <= longestAccessTokenLifetimeSeconds))
      throw new Error('a lifetime of no token')
    if (typeof jti !== 'string' || typeof sid !== 'string') throw new Error('ids of no token')
    // Denials outlast tokens by as much as two clocks may differ, each wrong by 60 s: what is further in the future
    // might outlive its own. Only at the door: whoever holds one may end it before its time has come.
    if (forAudience !== undefined && iat! > Date.now() / 1000 + denialMarginSeconds)
      throw invalid('It was issued in the future: the clocks of the replicas differ too much.')
    return { identity: ownIdentity(payload, kid), claims: payload }
  }

  async function foreign(token: string, from: TrustedIssuer): Promise<VerifiedToken> {
    const { payload, protectedHeader } = await jwtVerify(token, from.key, {
      algorithms,
      issuer: from.issuer,
      audience: from.audience,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: clockToleranceSeconds,
    })
    // Few others say at+jwt; but what says that it is something else (logout+jwt, dpop+jwt) is no access token.
    const typ = protectedHeader.typ?.toLowerCase().replace(/^application\//, '')
    if (typ !== undefined && typ !== 'at+jwt' && typ !== 'jwt') throw new Error('of another type')
    // Most say just JWT, as their ID tokens do, which are for whoever logged somebody in and open no door.
    if (idTokenClaims.some((name) => name in payload)) throw new Error('an ID token')
    return { identity: foreignIdentity(payload), claims: payload }
  }

  async function checked(token: string, check: () => Promise<VerifiedToken>): Promise<VerifiedToken> {
    if (token.length > longestToken || !shape.test(token)) throw invalid('It is not a JWT.')
    try {
      return await check()
    } catch (error) {
      if (error instanceof GatewayError) throw error
      throw invalid(isExpired(error) ? 'It has expired.' : undefined)
    }
  }

  return {
    verify: (token) =>
      checked(token, () => {
        const { iss } = decodeJwt(token)
        const from = iss === undefined ? undefined : byIssuer.get(iss)
        return from === undefined ? own(token, audience) : foreign(token, from)
      }),
    verifyOwn: (token) => checked(token, () => own(token, undefined)),
  }
}

/** RFC 6750 §3.1. */
function invalid(reason?: string): GatewayError {
  return invalidToken(`The access token is not valid.${reason === undefined ? '' : ` ${reason}`}`)
}

/** A token that is not accepted, with the challenge that belongs to it; the detail goes into both. */
export function invalidToken(detail: string): GatewayError {
  return new GatewayError('invalid_token', {
    detail,
    headers: { 'WWW-Authenticate': `Bearer error="invalid_token", error_description="${detail}"` },
  })
}

function unknownForNow(): GatewayError {
  return new GatewayError('token_state_unknown', {
    detail: 'The signing keys have not been read yet.',
    headers: { 'Retry-After': '1' },
  })
}

const isExpired = (error: unknown) => (error as { code?: unknown }).code === 'ERR_JWT_EXPIRED'
