import { hash, timingSafeEqual } from 'node:crypto'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Next } from 'koa'
import { GatewayError } from '../../errors.ts'
import type { Database } from '../../persistence/database.ts'
import { checkBody } from '../../tokens/body.ts'
import type { Open } from '../../tokens/create.ts'
import type { OAuthContext, OAuthStep } from '../state.ts'
import type { FreshConnection, Vault } from '../vault/vault.ts'
import { findSubject } from './identities.ts'
import type { LoginCodes, PendingLogin } from './login-codes.ts'
import type { LoginCookie } from './login-cookie.ts'
import { type ConnectReply, completeSchema, type LoginReply } from './schemas-login.ts'

export interface CompleteOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly codes: Pick<LoginCodes, 'take'>
  readonly cookie: Pick<LoginCookie, 'read'>
  readonly vault: Pick<Vault, 'store'>
  readonly open: Open
  readonly loginScope: string
  readonly linkVerifiedEmail: readonly string[]
  /** Finds out whose token the request bears. */
  readonly act: OAuthStep
}

/** `POST /oauth/login/complete`: a front end turns the code of a login into tokens, or into a connection. */
export function createComplete(options: CompleteOptions): OAuthStep {
  const { database, codes, cookie, vault, open, loginScope, linkVerifiedEmail, act } = options

  /** Code, identity, connection and session in one transaction: where it fails, the code is still good. */
  async function redeem<T>(
    code: string,
    isGood: (login: PendingLogin) => boolean,
    subjectOf: (em: SqlEntityManager, login: PendingLogin) => Promise<string>,
    make: (em: SqlEntityManager, connection: FreshConnection) => Promise<T>,
  ): Promise<T> {
    const made = await database.transaction(async (em) => {
      const login = await codes.take(em, code)
      // Not thrown: a code that was tried wrongly stays deleted.
      if (login === undefined || !isGood(login)) return undefined
      const { provider, grant } = login
      const subject = await subjectOf(em, login)
      return { made: await make(em, await vault.store(em, { subject, provider, grant })) }
    })
    if (made !== undefined) return made.made
    throw new GatewayError('invalid_grant', {
      detail:
        'The code is not known, has expired or was used, or was not brought by whoever began the login: ' +
        'by its code_verifier, or in the same browser.',
    })
  }

  return async function complete(ctx) {
    const body = checkBody(completeSchema, ctx.state.body)
    const { code, code_verifier: verifier, same_browser: sameBrowser = false, connect = false } = body
    const browserHash = sameBrowser ? cookie.read(ctx as unknown as OAuthContext) : undefined
    const isGood = (login: PendingLogin) =>
      fits(verifier, login.codeChallenge) && (!sameBrowser || login.browserHash === browserHash)
    if (connect) {
      const subject = await userOf(ctx as unknown as OAuthContext, act)
      // Else whoever sends a user's browser here with a code of his own would connect his account to that user.
      const isBound = (login: PendingLogin) => isGood(login) && (sameBrowser || verifier !== undefined)
      ctx.body = await redeem(
        code,
        isBound,
        async () => subject,
        async (_em, { id, provider }): Promise<ConnectReply> => ({ id, provider, subject }),
      )
      ctx.status = 201
      return
    }
    ctx.body = await redeem(
      code,
      isGood,
      (em, login) => findSubject(em, login.provider, login.grant.profile, linkVerifiedEmail),
      begin,
    )
  }

  async function begin(em: SqlEntityManager, connection: FreshConnection): Promise<LoginReply> {
    const { id, subject, provider, profile } = connection
    const terms = { subject, clientId: 'munjigi', scope: loginScope, audience: [], claims: {} }
    return {
      ...(await open(terms, em)),
      ...{ subject, provider, connection_id: id },
      ...(profile.name !== undefined && { name: profile.name }),
    }
  }
}

/** Whoever adds an account to a user's must be that user. */
async function userOf(ctx: OAuthContext, act: OAuthStep): Promise<string> {
  const refusal = new GatewayError('authentication_required', {
    detail: 'connect adds an account to a user: the Bearer token of that user is asked for, and no client.',
    headers: { 'WWW-Authenticate': 'Bearer' },
  })
  if (ctx.state.client !== undefined) throw refusal
  const goOn: Next = async () => {}
  await (act as (ctx: OAuthContext, next: Next) => Promise<unknown>)(ctx, goOn)
  if (ctx.state.actor.kind !== 'user') throw refusal
  return ctx.state.actor.subject
}

/** RFC 7636 §4.6; a verifier that nothing asked for is refused too (RFC 9700 §2.1.1: downgrades). */
function fits(verifier: string | undefined, challenge: string | undefined): boolean {
  if (verifier === undefined || challenge === undefined) return verifier === challenge
  return timingSafeEqual(Buffer.from(hash('sha256', verifier, 'base64url')), Buffer.from(challenge))
}
