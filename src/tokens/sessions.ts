import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Denial } from './denials.ts'
import { longestAccessTokenLifetimeSeconds } from './lifetimes.ts'
import { hashOf } from './secrets.ts'

/** What a session gives to each of its access tokens. */
export interface SessionTerms {
  readonly id: string
  readonly subject: string
  readonly clientId: string
  /** Space-separated; empty for none. */
  readonly scope: string
  /** Empty for the gateway itself, under whatever name it has when a token is issued. */
  readonly audience: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
}

/** Lifetimes in seconds. */
export interface SessionLifetimes {
  readonly refreshTokenLifetime: number
  readonly sessionLifetime: number
}

/**
 * For how long after a session's end an access token of it may live. One that is signed while its session ends must
 * not outlive the denial either: the minute is wide enough for a statement that waits, and for clocks that differ.
 */
const aliveAfterEndSeconds = longestAccessTokenLifetimeSeconds + 60

/**
 * Begins a session with its first refresh token. All times are the database's, which every replica shares.
 */
export async function openSession(
  em: SqlEntityManager,
  terms: SessionTerms,
  refreshToken: string,
  { refreshTokenLifetime, sessionLifetime }: SessionLifetimes,
): Promise<void> {
  const { id, subject, clientId, scope, audience, claims } = terms
  await em.execute(
    `with session as (
      insert into munjigi.sessions
        (id, subject, client_id, scope, audience, claims, created_at, expires_at)
      values (?, ?, ?, ?, ?::jsonb, ?::jsonb, now(), now() + make_interval(secs => ?))
      returning id, expires_at)
    insert into munjigi.refresh_tokens (hash, session_id, created_at, expires_at)
    select ?, id, now(), least(now() + make_interval(secs => ?), expires_at) from session`,
    [
      ...[id, subject, clientId, scope, JSON.stringify(audience), JSON.stringify(claims), sessionLifetime],
      ...[hashOf(refreshToken), refreshTokenLifetime],
    ],
  )
}

/** A refresh token that was found, and where it stands. */
export interface FoundRefreshToken {
  readonly sessionId: string
  readonly clientId: string
  readonly subject: string
  readonly scope: string
  /** Seconds since the epoch. */
  readonly expiresAt: number
  /** Seconds; null where it was not used. */
  readonly usedSince: number | null
  /** Neither used nor expired, and of a session that goes on. */
  readonly active: boolean
}

/** Looks a refresh token up, whatever has become of it. */
export async function findRefreshToken(
  em: SqlEntityManager,
  refreshToken: string,
): Promise<FoundRefreshToken | undefined> {
  const [row] = await em.execute<FoundRefreshToken[]>(
    `select s.id as "sessionId", s.client_id as "clientId", s.subject, s.scope,
      extract(epoch from t.expires_at)::float8 as "expiresAt",
      extract(epoch from clock_timestamp() - t.used_at)::float8 as "usedSince",
      (t.used_at is null and t.expires_at > now() and s.revoked_at is null and s.expires_at > now()) as active
    from munjigi.refresh_tokens t join munjigi.sessions s on s.id = t.session_id
    where t.hash = ?`,
    [hashOf(refreshToken)],
  )
  return row
}

/**
 * Ends sessions that have not ended yet: one, or all of a subject. Those past their end count as well, as long as
 * an access token of theirs may live.
 * @returns what has to be denied from now on; empty where nothing was left to end
 */
export async function endSessions(
  em: SqlEntityManager,
  which: { readonly id: string } | { readonly subject: string },
): Promise<readonly Denial[]> {
  const [column, value] = 'id' in which ? ['id', which.id] : ['subject', which.subject]
  // In the order of their ids, so that two who end the same sessions never wait for each other.
  const rows = await em.execute<{ id: string; until: number }[]>(
    `with ending as (
      select id from munjigi.sessions
      where ${column} = ? and revoked_at is null and expires_at > now() - make_interval(secs => ?)
      order by id for no key update)
    update munjigi.sessions s set revoked_at = now() from ending where s.id = ending.id
    returning s.id, extract(epoch from clock_timestamp() + make_interval(secs => ?))::float8 as until`,
    [value!, aliveAfterEndSeconds, aliveAfterEndSeconds],
  )
  return rows.map(({ id, until }) => ({ key: `sid:${id}`, until }))
}
