import type { LoginReturn } from './login-attempts.ts'

/** The same login from its beginning: it ends at the front end that began it. */
export function againUrl(loginUrl: string, { returnTo, returnState, codeChallenge }: LoginReturn): string {
  const url = new URL(loginUrl)
  url.searchParams.set('return_to', returnTo)
  if (returnState !== undefined) url.searchParams.set('state', returnState)
  if (codeChallenge !== undefined) {
    url.searchParams.set('code_challenge', codeChallenge)
    url.searchParams.set('code_challenge_method', 'S256')
  }
  return url.href
}
