import { type ErrorCode, GatewayError } from '../../errors.ts'
import type { RedirectUris } from '../redirect-uris.ts'
import { againUrl } from './again-url.ts'
import { errorReturnUrl, returnUrl } from './authorization-error.ts'
import { withLoginUrl } from './error-page.ts'
import type { LoginAttempts } from './login-attempts.ts'
import type { LoginCodes } from './login-codes.ts'
import type { LoginCookie } from './login-cookie.ts'
import { readQuery, refused } from './login-query.ts'
import type { LoginStep } from './login-steps.ts'
import { redirect } from './send-away.ts'

export interface CallbackOptions {
  readonly attempts: Pick<LoginAttempts, 'take'>
  readonly codes: Pick<LoginCodes, 'keep'>
  readonly cookie: Pick<LoginCookie, 'read'>
  readonly redirectUris: Pick<RedirectUris, 'callback'>
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
  /** A login that was begun here came back; by what came of it: `success`, or the code of the error. */
  readonly returned?: ((provider: string, result: 'success' | ErrorCode) => void) | undefined
}

/**
 * `GET /oauth/:provider/callback`: a browser comes back from the provider. Nothing is asked of the provider before
 * the state is known to be this browser's, and then once.
 */
export function createCallback(options: CallbackOptions): LoginStep {
  const { attempts, codes, cookie, redirectUris, loginUrl, returned } = options
  return async function callback(ctx, provider) {
    const { name, title } = provider
    const query = readQuery(ctx.querystring)
    const state = query.get('state')
    const browserHash = cookie.read(ctx)
    if (state === undefined) throw refused('The state that the login was begun with is missing.')
    if (browserHash === undefined) throw refused(notYours)
    const attempt = await attempts.take({ state, browserHash, provider: name })
    if (attempt === undefined) throw refused(notYours)
    try {
      const error = query.get('error')
      if (error !== undefined) throw refused(refusalOf(error, title))
      const code = query.get('code')
      if (code === undefined) throw refused(`${title} sent no code.`)
      const { nonce, codeVerifier, codeChallenge } = attempt
      const redirectUri = redirectUris.callback(name)
      const issuer = query.get('iss')
      const grant = await provider.exchange({ code, redirectUri, state, nonce, codeVerifier, issuer })
      const client = attempt.client && { ...attempt.client, redirectUri: attempt.returnTo }
      const loginCode = await codes.keep({ provider: name, grant, codeChallenge, browserHash, client })
      redirect(ctx, returnUrl(attempt, { code: loginCode }))
      returned?.(name, 'success')
    } catch (error) {
      returned?.(name, error instanceof GatewayError ? error.code : 'internal_error')
      if (!(error instanceof GatewayError)) throw error
      if (attempt.client === undefined) throw withLoginUrl(error, againUrl(loginUrl(name), attempt))
      // Such a client shows its own user what happened, and where to begin anew (RFC 6749 §4.1.2.1).
      ctx.state.errorCode = error.code
      redirect(ctx, errorReturnUrl(attempt, error, query.get('error')))
    }
  }
}

const notYours =
  'This login was not begun in this browser, has ended already, or took longer than ten minutes. Cookies must be allowed.'

/** Told by the error codes of RFC 6749 §4.1.2.1 and OpenID Connect; whatever else the provider wrote is not shown. */
function refusalOf(error: string, title: string): string {
  if (error === 'access_denied') return `The login was cancelled, or ${title} did not allow it.`
  if (error === 'temporarily_unavailable' || error === 'server_error') {
    return `${title} has a problem of its own and could not log you in now.`
  }
  return `${title} refused the login.`
}
