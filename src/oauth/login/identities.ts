import { randomUUID } from 'node:crypto'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { IdentityEntity } from '../entities.ts'
import type { ProviderProfile } from '../provider.ts'

/**
 * Finds whom an account elsewhere logs in as, or makes a new subject of it, in the caller's transaction: two at once
 * get the same one.
 *
 * @param linkVerifiedEmail LINK_VERIFIED_EMAIL. Where it names this provider, an account that is new here logs in as
 *   the subject that others of those providers vouched for the same address for, where that is one: of several, who
 *   has it now cannot be known. An address that nobody vouches for never links: anybody may write anybody's there.
 *   Nor do two accounts of one provider.
 */
export async function findSubject(
  em: SqlEntityManager,
  provider: string,
  profile: ProviderProfile,
  linkVerifiedEmail: readonly string[],
): Promise<string> {
  const email = verifiedEmailOf(profile)
  const proposed = (await linkedSubject(em, provider, email, linkVerifiedEmail)) ?? randomUUID()
  const [row] = await em.execute<{ subject: string }[]>(
    `insert into munjigi.identities
      (provider, provider_user_id, subject, verified_email, created_at, last_login_at)
    values (?, ?, ?, ?, now(), now())
    on conflict (provider, provider_user_id)
      do update set verified_email = excluded.verified_email, last_login_at = excluded.last_login_at
    returning subject`,
    [provider, profile.id, proposed, email ?? null],
  )
  return row!.subject
}

async function linkedSubject(
  em: SqlEntityManager,
  provider: string,
  email: string | undefined,
  linkVerifiedEmail: readonly string[],
): Promise<string | undefined> {
  const others = linkVerifiedEmail.filter((name) => name !== provider)
  if (email === undefined || others.length === linkVerifiedEmail.length) return undefined
  // Until the transaction ends: somebody's first two logins, by two providers at once, are one subject's too.
  await em.execute('select pg_advisory_xact_lock(hashtextextended(?, 0))', [`munjigi.identities:${email}`])
  const known = await em.find(IdentityEntity, { verifiedEmail: email, provider: { $in: others } })
  const [subject, ...more] = new Set(known.map((identity) => identity.subject))
  return more.length === 0 ? subject : undefined
}

/**
 * Undefined where the provider does not vouch for it. Lower case in ASCII only: of all of Unicode, other people's
 * letters would become the same as somebody's (U+212A, the Kelvin sign, is a small k).
 */
function verifiedEmailOf({ email, emailVerified }: ProviderProfile): string | undefined {
  return emailVerified ? email?.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : undefined
}
