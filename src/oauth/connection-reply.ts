import type { ConnectionReply } from './schemas.ts'
import type { Connection } from './vault/vault.ts'

/** What is told of a connection besides what it is. */
export interface ConnectionExtras {
  readonly accessToken?: string | undefined
  readonly loginUrl?: string | undefined
  /** The code that says why there is no token. */
  readonly error?: string | undefined
  /** Milliseconds since the epoch. */
  readonly now?: number
}

/** A connection as every endpoint shows it. */
export function connectionReply(connection: Connection, extras: ConnectionExtras = {}): ConnectionReply {
  const { id: providerUserId, name, email, emailVerified, picture } = connection.profile
  const { accessToken, loginUrl, error, now = Date.now() } = extras
  const { expiresAt, lastRefreshedAt } = connection
  return {
    id: connection.id,
    provider: connection.provider,
    provider_user_id: providerUserId,
    profile: {
      ...(name !== undefined && { name }),
      ...(email !== undefined && { email }),
      email_verified: emailVerified,
      ...(picture !== undefined && { picture }),
    },
    state: connection.state,
    scope: connection.scope,
    created_at: connection.createdAt.toISOString(),
    updated_at: connection.updatedAt.toISOString(),
    ...(lastRefreshedAt !== undefined && { last_refreshed_at: lastRefreshedAt.toISOString() }),
    ...(accessToken !== undefined && {
      access_token: accessToken,
      token_type: connection.tokenType,
      ...(expiresAt !== undefined && { expires_in: secondsUntil(expiresAt, now) }),
    }),
    ...(loginUrl !== undefined && { login_url: loginUrl }),
    ...(error !== undefined && { error }),
  }
}

const secondsUntil = (date: Date, now: number) => Math.max(0, Math.floor((date.getTime() - now) / 1000))
