import { GatewayError } from '../../errors.ts'
import type { Provider } from '../provider.ts'
import type { RedirectUris } from '../redirect-uris.ts'
import type { OAuthContext } from '../state.ts'
import { againUrl } from './again-url.ts'
import { withLoginUrl } from './error-page.ts'
import { type LoginAttempts, type LoginReturn, newSecrets } from './login-attempts.ts'
import type { LoginCookie } from './login-cookie.ts'
import { readQuery, refused } from './login-query.ts'
import type { LoginStep } from './login-steps.ts'

export interface LoginStartOptions {
  readonly attempts: Pick<LoginAttempts, 'begin'>
  readonly cookie: Pick<LoginCookie, 'keep'>
  readonly redirectUris: Pick<RedirectUris, 'callback'>
  /** Where a login may return to, compared character by character (RFC 9700 §4.1.3); the first is the default. */
  readonly returnUrls: readonly [string, ...string[]]
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
}

/** `GET /oauth/:provider/login`: sends a browser to the provider. */
export function createLoginStart(options: LoginStartOptions): LoginStep {
  const { attempts, cookie, redirectUris, returnUrls, loginUrl } = options

  async function begin(ctx: OAuthContext, provider: Provider, back: LoginReturn): Promise<void> {
    const secrets = newSecrets()
    const url = await provider.authorizationUrl({
      ...secrets,
      redirectUri: redirectUris.callback(provider.name),
    })
    const browserHash = cookie.keep(ctx)
    await attempts.begin({ ...back, secrets, browserHash, provider: provider.name })
    ctx.status = 302
    ctx.set('Location', url.href)
    ctx.set('Referrer-Policy', 'no-referrer')
    ctx.body = ''
  }

  return async function loginStart(ctx, provider) {
    const back = readReturn(ctx.querystring, returnUrls)
    try {
      await begin(ctx, provider, back)
    } catch (error) {
      throw error instanceof GatewayError
        ? withLoginUrl(error, againUrl(loginUrl(provider.name), back))
        : error
    }
  }
}

/** @throws GatewayError `invalid_request` naming the parameter and what was expected */
function readReturn(querystring: string, [own, ...others]: readonly [string, ...string[]]): LoginReturn {
  const query = readQuery(querystring)
  const returnTo = query.get('return_to') ?? own
  if (returnTo !== own && !others.includes(returnTo)) {
    throw refused('return_to: expected one of LOGIN_RETURN_URLS, character by character.')
  }
  const returnState = query.get('state')
  if (returnState !== undefined && !/^[\x21-\x7e]{1,512}$/.test(returnState)) {
    throw refused('state: expected at most 512 visible ASCII characters.')
  }
  const codeChallenge = query.get('code_challenge')
  if (codeChallenge !== undefined && !/^[A-Za-z0-9_-]{43}$/.test(codeChallenge)) {
    throw refused('code_challenge: expected 43 characters of base64url, the SHA-256 of a code_verifier.')
  }
  const method = query.get('code_challenge_method')
  if (method !== undefined && (method !== 'S256' || codeChallenge === undefined)) {
    throw refused('code_challenge_method: expected S256, with a code_challenge.')
  }
  return { returnTo, returnState, codeChallenge }
}
