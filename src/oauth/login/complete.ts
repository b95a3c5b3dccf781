import type { Next } from 'koa'
import { GatewayError } from '../../errors.ts'
import { checkBody } from '../../tokens/body.ts'
import type { OAuthContext, OAuthStep } from '../state.ts'
import type { PendingLogin } from './login-codes.ts'
import type { LoginCookie } from './login-cookie.ts'
import { fits, type Redeem } from './redeem.ts'
import { type ConnectReply, completeSchema } from './schemas-login.ts'

export interface CompleteOptions {
  readonly redeem: Redeem
  readonly cookie: Pick<LoginCookie, 'read'>
  /** Finds out whose token the request bears. */
  readonly act: OAuthStep
}

/** `POST /oauth/login/complete`: a front end turns the code of a login into tokens, or into a connection. */
export function createComplete({ redeem, cookie, act }: CompleteOptions): OAuthStep {
  return async function complete(ctx) {
    const body = checkBody(completeSchema, ctx.state.body)
    const { code, code_verifier: verifier, same_browser: sameBrowser = false, connect = false } = body
    const browserHash = sameBrowser ? cookie.read(ctx as unknown as OAuthContext) : undefined
    // What a client asked for at /oauth/authorize is for /oauth/token.
    const isGood = (login: PendingLogin) =>
      login.client === undefined &&
      fits(verifier, login.codeChallenge) &&
      (!sameBrowser || login.browserHash === browserHash)
    if (!connect) {
      ctx.body = await redeem.logIn(code, isGood)
      return
    }
    const subject = await userOf(ctx as unknown as OAuthContext, act)
    // Else whoever sends a user's browser here with a code of his own would connect his account to that user.
    const isBound = (login: PendingLogin) => isGood(login) && (sameBrowser || verifier !== undefined)
    const { id, provider } = await redeem.connect(code, isBound, subject)
    const reply: ConnectReply = { id, provider, subject }
    ctx.body = reply
    ctx.status = 201
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
