import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { GatewayError } from '../errors.ts'
import type { KeyRing } from './keys.ts'

/** Claims that the gateway alone sets: whoever asks for a token may not. */
export const reservedClaims: ReadonlySet<string> = new Set([
  'iss',
  'aud',
  'sub',
  'client_id',
  'iat',
  'nbf',
  'exp',
  'jti',
  'sid',
  'scope',
  // Others' words for scope and client_id: whoever reads them instead must not be told something else.
  'scp',
  'azp',
])

export interface IssueRequest {
  readonly subject: string
  readonly clientId: string
  /** Space-separated; empty for none. */
  readonly scope: string
  /** Empty for the gateway itself. */
  readonly audience: readonly string[]
  /** Further claims. Those of `reservedClaims` are left out. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly sessionId: string
}

export interface IssuedToken {
  readonly token: string
  /** `jti` */
  readonly tokenId: string
  /** Seconds since the epoch, both. */
  readonly issuedAt: number
  readonly expiresAt: number
}

export interface Issuer {
  /**
   * Signs an access token by RFC 9068 with the active key.
   * @throws GatewayError `database_unavailable` where the signing keys have not been read yet
   */
  issue(request: IssueRequest): Promise<IssuedToken>
}

export interface IssuerOptions {
  readonly keys: Pick<KeyRing, 'active'>
  /** `iss` */
  readonly issuer: string
  /** The gateway itself, as in `aud`. */
  readonly audience: string
  readonly accessTokenLifetimeSeconds: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** Makes access tokens. */
export function createIssuer(options: IssuerOptions): Issuer {
  const { keys, issuer, audience: gateway, accessTokenLifetimeSeconds, now = Date.now } = options
  return {
    async issue({ subject, clientId, scope, audience, claims, sessionId }) {
      const key = keys.active()
      if (key === undefined) {
        throw new GatewayError('database_unavailable', {
          detail: 'There is no key to sign with yet.',
          headers: { 'Retry-After': '1' },
        })
      }
      const issuedAt = Math.floor(now() / 1000)
      const expiresAt = issuedAt + accessTokenLifetimeSeconds
      const tokenId = randomUUID()
      const payload = {
        ...Object.fromEntries(Object.entries(claims).filter(([name]) => !reservedClaims.has(name))),
        iss: issuer,
        // RFC 7519 §4.1.3: one audience may be a plain string, which is what every verifier understands.
        aud: audience.length > 1 ? [...audience] : (audience[0] ?? gateway),
        sub: subject,
        client_id: clientId,
        iat: issuedAt,
        exp: expiresAt,
        jti: tokenId,
        sid: sessionId,
        ...(scope !== '' && { scope }),
      }
      const header = { alg: key.algorithm, typ: 'at+jwt', kid: key.kid }
      const token = await new SignJWT(payload).setProtectedHeader(header).sign(key.privateKey)
      return { token, tokenId, issuedAt, expiresAt }
    },
  }
}
