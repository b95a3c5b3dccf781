import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import { checkBody } from './body.ts'
import { normalScope, tokenReply } from './create.ts'
import type { Denials } from './denials.ts'
import type { Issuer } from './issue.ts'
import type { Rotate } from './rotation.ts'
import { refreshSchema } from './schemas.ts'
import { endSessions } from './sessions.ts'
import type { TokenStep } from './state.ts'

export interface RefreshOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly issuer: Issuer
  readonly rotate: Rotate
  readonly denials: Pick<Denials, 'write' | 'remember'>
  readonly log: Log
}

/**
 * `POST /tokens/refresh` (RFC 6749 §6): who has the refresh token may use it, once. A client that says who it is
 * must be the session's own.
 */
export function createRefresh(options: RefreshOptions): TokenStep {
  const { database, issuer, rotate, denials, log } = options

  return async function refresh(ctx) {
    checkGrantType(ctx.state.body)
    const body = checkBody(refreshSchema, ctx.state.body)
    // What is thrown in here undoes the rotation: the token stays good for another try.
    const result = await database.transaction(async (em) => {
      const rotated = await rotate(em, body.refresh_token, ctx.state.client?.id)
      if (rotated.outcome === 'rotated') {
        const scope = narrowed(rotated.session.scope, body.scope)
        const issued = await issuer.issue({ ...rotated.session, scope, sessionId: rotated.session.id })
        return { reply: tokenReply(issued, rotated.refreshToken, scope) }
      }
      if (rotated.outcome === 'refused') return {}
      const ended = await endSessions(em, { id: rotated.sessionId })
      await denials.write(em, ended)
      return { ended, reused: rotated }
    })
    if (result.ended !== undefined && result.ended.length > 0) {
      denials.remember(result.ended)
      const { sessionId, clientId } = result.reused
      log.warn({ sessionId, clientId }, `a refresh token of ${clientId} was used twice: its session ends`)
    }
    if (result.reply === undefined) throw invalidGrant()
    ctx.body = result.reply
  }
}

/**
 * RFC 6749 §5.2. It may be left out: there is but one.
 * @throws GatewayError `unsupported_grant_type`
 */
function checkGrantType({ grant_type: type }: Readonly<Record<string, unknown>>): void {
  // What is no name at all is a fault of the body's.
  if (typeof type !== 'string' || type === '' || type === 'refresh_token') return
  throw new GatewayError('unsupported_grant_type', { detail: 'grant_type: expected refresh_token' })
}

/** RFC 6749 §6: never more than was granted; the refresh token itself keeps the whole. */
function narrowed(granted: string, wanted: string | undefined): string {
  if (wanted === undefined || wanted === '') return granted
  const scopes = new Set(granted.split(' '))
  if (wanted.split(' ').every((scope) => scopes.has(scope))) return normalScope(wanted)
  throw new GatewayError('invalid_scope', { detail: 'scope: expected none but scopes of the session' })
}

/** The same words whatever the reason: it is nobody's business but the log's. */
function invalidGrant(): GatewayError {
  return new GatewayError('invalid_grant', {
    detail: 'The refresh token is not valid: unknown, expired, used before or revoked.',
  })
}
