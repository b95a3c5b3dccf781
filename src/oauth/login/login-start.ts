import { GatewayError } from '../../errors.ts'
import { againUrl } from './again-url.ts'
import { withLoginUrl } from './error-page.ts'
import type { LoginReturn } from './login-attempts.ts'
import { readQuery, refused } from './login-query.ts'
import type { LoginStep } from './login-steps.ts'
import type { SendAway } from './send-away.ts'

export interface LoginStartOptions {
  readonly sendAway: SendAway
  /** Where a login may return to, compared character by character (RFC 9700 §4.1.3); the first is the default. */
  readonly returnUrls: readonly [string, ...string[]]
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
}

/** `GET /oauth/:provider/login`: sends a browser to the provider. */
export function createLoginStart(options: LoginStartOptions): LoginStep {
  const { sendAway, returnUrls, loginUrl } = options

  return async function loginStart(ctx, provider) {
    const back = readReturn(ctx.querystring, returnUrls)
    try {
      await sendAway(ctx, provider, back)
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
