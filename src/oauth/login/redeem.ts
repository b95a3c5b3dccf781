import { hash, timingSafeEqual } from 'node:crypto'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { GatewayError } from '../../errors.ts'
import type { Database } from '../../persistence/database.ts'
import type { Open } from '../../tokens/create.ts'
import type { FreshConnection, Vault } from '../vault/vault.ts'
import { findSubject } from './identities.ts'
import type { LoginCodes, PendingLogin } from './login-codes.ts'
import type { LoginReply } from './schemas-login.ts'

export interface RedeemOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly codes: Pick<LoginCodes, 'take'>
  readonly vault: Pick<Vault, 'store'>
  readonly open: Open
  readonly loginScope: string
  readonly linkVerifiedEmail: readonly string[]
}

type IsGood = (login: PendingLogin) => boolean

/** What a login code is worth, once: both reject with `invalid_grant` where it is not good, in the same words always. */
export interface Redeem {
  /** A session of whoever logged in. */
  logIn(code: string, isGood: IsGood): Promise<LoginReply>
  /** The account, added to this subject's. */
  connect(code: string, isGood: IsGood, subject: string): Promise<FreshConnection>
}

/** Whose sessions those are that were not begun by a client of its own. */
export const frontEndClientId = 'munjigi'

export function createRedeem(options: RedeemOptions): Redeem {
  const { database, codes, vault, open, loginScope, linkVerifiedEmail } = options

  /** Code, identity, connection and session in one transaction: where it fails, the code is still good. */
  async function redeem<T>(
    code: string,
    isGood: IsGood,
    subjectOf: (em: SqlEntityManager, login: PendingLogin) => Promise<string>,
    make: (em: SqlEntityManager, connection: FreshConnection, login: PendingLogin) => Promise<T>,
  ): Promise<T> {
    const made = await database.transaction(async (em) => {
      const login = await codes.take(em, code)
      // Not thrown: a code that was tried wrongly stays deleted.
      if (login === undefined || !isGood(login)) return undefined
      const { provider, grant } = login
      const subject = await subjectOf(em, login)
      return { made: await make(em, await vault.store(em, { subject, provider, grant }), login) }
    })
    if (made !== undefined) return made.made
    throw new GatewayError('invalid_grant', {
      detail:
        'The code is not known, has expired or was used, or was not brought by whoever began the login: ' +
        'by its code_verifier, with its client_id and redirect_uri, or in the same browser.',
    })
  }

  return {
    logIn: (code, isGood) =>
      redeem(
        code,
        isGood,
        (em, { provider, grant }) => findSubject(em, provider, grant.profile, linkVerifiedEmail),
        async (em, { id, subject, provider, profile }, { client }) => {
          const { id: clientId, scope } = client ?? { id: frontEndClientId, scope: loginScope }
          return {
            ...(await open({ subject, clientId, scope, audience: [], claims: {} }, em)),
            ...{ subject, provider, connection_id: id },
            ...(profile.name !== undefined && { name: profile.name }),
          }
        },
      ),
    connect: (code, isGood, subject) =>
      redeem(
        code,
        isGood,
        async () => subject,
        async (_em, connection) => connection,
      ),
  }
}

/** RFC 7636 §4.6; a verifier that nothing asked for is refused too (RFC 9700 §2.1.1: downgrades). */
export function fits(verifier: string | undefined, challenge: string | undefined): boolean {
  if (verifier === undefined || challenge === undefined) return verifier === challenge
  return timingSafeEqual(Buffer.from(hash('sha256', verifier, 'base64url')), Buffer.from(challenge))
}
