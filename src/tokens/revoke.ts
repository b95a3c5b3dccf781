import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Database } from '../persistence/database.ts'
import { checkBody } from './body.ts'
import { requireClient } from './clients.ts'
import type { Denial, Denials } from './denials.ts'
import type { Dummies } from './dummies.ts'
import type { Inspect } from './introspect.ts'
import { revokeSchema } from './schemas.ts'
import { isRandomTokenShaped } from './secrets.ts'
import { endSessions, findRefreshToken } from './sessions.ts'
import type { TokenStep } from './state.ts'

export interface RevokeOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly inspect: Inspect
  readonly denials: Pick<Denials, 'write' | 'remember'>
  /** Development only. */
  readonly dummies: Pick<Dummies, 'remove'> | undefined
}

/**
 * `POST /tokens/revoke` (RFC 7009). Who has a token may revoke it, client or not: nobody has one who could not do
 * worse with it. A refresh token, a used one too, ends its session and with it all of the session's access tokens;
 * an access token ends alone. `{subject}`, for clients, ends every session of a user. A trusted issuer's token is
 * unknown here: revoking it is that issuer's business.
 */
export function createRevoke({ database, inspect, denials, dummies }: RevokeOptions): TokenStep {
  async function deny(find: (em: SqlEntityManager) => Promise<readonly Denial[]>): Promise<void> {
    const denied = await database.transaction(async (em) => {
      const found = await find(em)
      await denials.write(em, found)
      return found
    })
    denials.remember(denied)
  }

  async function revokeToken(token: string): Promise<void> {
    if (dummies?.remove(token)) return
    if (isRandomTokenShaped(token)) {
      await deny(async (em) => {
        const found = await findRefreshToken(em, token)
        return found === undefined ? [] : endSessions(em, { id: found.sessionId })
      })
      return
    }
    const found = await inspect(token)
    if (found === undefined) return
    const { tokenId, expiresAt } = found.identity
    await deny(async () => [{ key: `jti:${tokenId}`, until: expiresAt }])
  }

  return async function revoke(ctx) {
    const { token, subject } = checkBody(revokeSchema, ctx.state.body)
    if (subject !== undefined) {
      requireClient(ctx.state.client)
      await deny((em) => endSessions(em, { subject }))
    } else await revokeToken(token!)
    // RFC 7009 §2.2: 200 also for a token that is unknown or not valid any more.
    ctx.status = 200
    ctx.body = ''
  }
}
