import type { JWTPayload } from 'jose'

/** Who is calling, from a token that was verified. */
export interface Identity {
  readonly subject: string
  /** Who issued the token; a subject is unique only together with it. */
  readonly issuer: string
  readonly clientId: string | undefined
  readonly scopes: ReadonlySet<string>
  /** As the token has it, space-separated; empty for none. */
  readonly scope: string
  /** Of the token; undefined for a dummy. */
  readonly tokenId: string | undefined
  readonly sessionId: string | undefined
  /** The `kid` that signed it, of a token of the gateway's own. */
  readonly keyId?: string
  /** Seconds since the epoch; the token is worth nothing from then on. */
  readonly expiresAt: number
}

/**
 * What a token of the gateway's own says (RFC 9068 §2.2), under the gateway's own names of claims and no others.
 * @param keyId the `kid` of its header
 * @throws Error where it says something that no header can carry to a house
 */
export function ownIdentity(payload: JWTPayload, keyId: string): Identity {
  return { ...identityOf(payload, payload.client_id, payload.scope ?? ''), keyId }
}

/**
 * The same of another issuer's, whose words may be others: the scope under `scp`, or as a list; the client as `azp`.
 * @throws Error also where what stands for a scope is neither text nor a list of such
 */
export function foreignIdentity(payload: JWTPayload): Identity {
  const { client_id: clientId, azp, scope, scp } = payload
  return identityOf(payload, textOf(clientId) ?? azp, joined(scope ?? scp ?? ''))
}

function identityOf(payload: JWTPayload, clientId: unknown, scope: unknown): Identity {
  const { sub, iss, exp, jti, sid } = payload
  if (typeof sub !== 'string' || !isHeaderValue(sub)) throw new Error('a subject that cannot be passed on')
  if (typeof scope !== 'string' || (scope !== '' && !isHeaderValue(scope))) {
    throw new Error('a scope that cannot be passed on')
  }
  return {
    subject: sub,
    issuer: iss!,
    clientId: textOf(clientId),
    scopes: new Set(scope.split(' ').filter(Boolean)),
    scope,
    tokenId: jti,
    sessionId: textOf(sid),
    expiresAt: exp!,
  }
}

/** A list of scopes as one text; whatever is none, a list with others among it too, is left for what it is. */
const joined = (scope: unknown) => (Array.isArray(scope) && scope.every(isScope) ? scope.join(' ') : scope)

const isScope = (scope: unknown) => typeof scope === 'string' && !scope.includes(' ')

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** Visible ASCII, with spaces only inside: what a header carries unchanged. */
const isHeaderValue = (text: string) =>
  text.length <= 1024 && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)
