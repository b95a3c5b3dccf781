import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { type DeriveSuccessor, hashOf, isRandomTokenShaped, randomToken } from './secrets.ts'
import { findRefreshToken, type SessionTerms } from './sessions.ts'

export interface RotationOptions {
  /** Seconds. */
  readonly refreshTokenLifetime: number
  /** For how long after its use a refresh token still gets its successor; 0 for not at all. */
  readonly graceMs: number
  /** From each encryption key, newest first; the newest derives, all are tried for one derived before. */
  readonly derivations: readonly DeriveSuccessor[]
}

type Rotated =
  | { readonly outcome: 'rotated'; readonly session: SessionTerms; readonly refreshToken: string }
  /** Used before, and not within the grace: somebody has a copy. */
  | { readonly outcome: 'reused'; readonly sessionId: string; readonly clientId: string }
  /** Unknown, expired, another client's, of a session that has ended, or a straggler within the grace. */
  | { readonly outcome: 'refused' }

/** @param clientId the one that asks, where one has said so: then the session must be its own */
export type Rotate = (
  em: SqlEntityManager,
  refreshToken: string,
  clientId: string | undefined,
) => Promise<Rotated>

/**
 * Exchanges a refresh token for its successor (RFC 9700 §4.14.2). Must run in a transaction.
 *
 * Without a grace, of any number of callers with the same token exactly one gets a successor, and the first of the
 * others ends the session: that is what reuse means, and nobody can tell the thief from the victim. A front end
 * that may refresh twice at once, in two tabs, wants a grace: then the successor is derived from the token, so that
 * all of them get the same without its being stored, as long as it was not used itself. Whoever comes within the
 * grace, but after that, gets nothing; it is a tab that was slow, and no reason to log the user out.
 */
export function createRotation({ refreshTokenLifetime, graceMs, derivations }: RotationOptions): Rotate {
  const [newest] = graceMs > 0 ? derivations : []
  if (graceMs > 0 && newest === undefined) throw new Error('a grace needs a key to derive successors with')

  async function again(
    em: SqlEntityManager,
    refreshToken: string,
    clientId: string | undefined,
  ): Promise<Rotated> {
    const candidates = derivations.map((derive) => derive(refreshToken))
    const [row] = await em.execute<(SessionRow & { hash: string })[]>(withinGrace, [
      ...[JSON.stringify(candidates.map(hashOf)), hashOf(refreshToken), graceMs / 1000],
      ...[clientId ?? null, clientId ?? null],
    ])
    const successor = candidates.find((candidate) => hashOf(candidate) === row?.hash)
    if (row === undefined || successor === undefined) return { outcome: 'refused' }
    return { outcome: 'rotated', session: termsOf(row), refreshToken: successor }
  }

  return async function rotate(em, refreshToken, clientId) {
    if (!isRandomTokenShaped(refreshToken)) return { outcome: 'refused' }
    const successor = newest === undefined ? randomToken() : newest(refreshToken)
    const [row] = await em.execute<SessionRow[]>(useAndSucceed, [
      ...[usedTokenSeconds, hashOf(refreshToken), clientId ?? null, clientId ?? null],
      ...[hashOf(successor), refreshTokenLifetime],
    ])
    if (row !== undefined) return { outcome: 'rotated', session: termsOf(row), refreshToken: successor }
    if (graceMs > 0) {
      const graced = await again(em, refreshToken, clientId)
      if (graced.outcome === 'rotated') return graced
    }
    const found = await findRefreshToken(em, refreshToken)
    if (found === undefined || found.usedSince === null || found.usedSince * 1000 < graceMs) {
      return { outcome: 'refused' }
    }
    return { outcome: 'reused', sessionId: found.sessionId, clientId: found.clientId }
  }
}

/**
 * For how long a used token is remembered, so that a second use of it ends the session; by `expires_at`, which is
 * what the pruner goes by. Long enough for somebody who comes back from a few days away to a token that a thief has
 * used meanwhile; not for the token's whole life, in which a front end that refreshes all day leaves thousands.
 * After that a second use is that of an unknown token: refused, and the session goes on.
 */
const usedTokenSeconds = 7 * 86_400

interface SessionRow {
  readonly id: string
  readonly subject: string
  readonly clientId: string
  readonly scope: string
  /** JSON as text: drivers differ in what they make of jsonb. */
  readonly audience: string
  readonly claims: string
}

const sessionColumns = `s.id, s.subject, s.client_id as "clientId", s.scope, s.audience::text as audience,
  s.claims::text as claims`
const sessionGoesOn = 's.revoked_at is null and s.expires_at > now()'

/** One statement: whoever marks the token used has written its successor, and nobody else can have marked it. */
const useAndSucceed = `with used as (
    update munjigi.refresh_tokens t set used_at = clock_timestamp(),
      expires_at = least(t.expires_at, now() + make_interval(secs => ?)) from munjigi.sessions s
    where t.hash = ? and t.used_at is null and t.expires_at > now()
      and s.id = t.session_id and ${sessionGoesOn} and (?::text is null or s.client_id = ?)
    returning ${sessionColumns}, s.expires_at),
  successor as (
    insert into munjigi.refresh_tokens (hash, session_id, created_at, expires_at)
    select ?, id, now(), least(now() + make_interval(secs => ?), expires_at) from used)
  select id, subject, "clientId", scope, audience, claims from used`

/** The successor of a token that was used just now, if nobody has used it yet. */
const withinGrace = `select ${sessionColumns}, successor.hash
  from munjigi.refresh_tokens t
  join munjigi.sessions s on s.id = t.session_id
  join munjigi.refresh_tokens successor on successor.session_id = s.id
    and successor.hash in (select jsonb_array_elements_text(?::jsonb))
  where t.hash = ? and t.used_at > clock_timestamp() - make_interval(secs => ?)
    and successor.used_at is null and successor.expires_at > now() and ${sessionGoesOn}
    and (?::text is null or s.client_id = ?)`

function termsOf({ id, subject, clientId, scope, audience, claims }: SessionRow): SessionTerms {
  return { id, subject, clientId, scope, audience: JSON.parse(audience), claims: JSON.parse(claims) }
}
