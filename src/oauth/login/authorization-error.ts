import { errorDescription } from '../../door/problem.ts'
import type { GatewayError } from '../../errors.ts'
import type { LoginReturn } from './login-attempts.ts'

/** RFC 6749 §4.1.2.1 */
type AuthorizationError =
  | 'invalid_request'
  | 'access_denied'
  | 'unsupported_response_type'
  | 'invalid_scope'
  | 'server_error'
  | 'temporarily_unavailable'

/** Back to the client with what it asked for, or why not (RFC 6749 §4.1.2). */
export function returnUrl(
  { returnTo, returnState }: Pick<LoginReturn, 'returnTo' | 'returnState'>,
  answer: { readonly code: string } | { readonly error: AuthorizationError; readonly description: string },
): string {
  const url = new URL(returnTo)
  if ('code' in answer) url.searchParams.set('code', answer.code)
  else {
    url.searchParams.set('error', answer.error)
    url.searchParams.set('error_description', errorDescription(answer.description))
  }
  if (returnState !== undefined) url.searchParams.set('state', returnState)
  return url.href
}

/**
 * The same with an error of the gateway's: a browser is on its way, so that no status can say it.
 * @param refusal the provider's `error`, where it was the provider that refused
 */
export function errorReturnUrl(
  back: Pick<LoginReturn, 'returnTo' | 'returnState'>,
  error: GatewayError,
  refusal?: string,
): string {
  const description = error.detail ?? error.title
  return returnUrl(back, { error: refusal === undefined ? codeOf(error) : refusalOf(refusal), description })
}

function refusalOf(error: string): AuthorizationError {
  return error === 'access_denied' || error === 'temporarily_unavailable' ? error : 'server_error'
}

function codeOf({ code, status }: GatewayError): AuthorizationError {
  if (code === 'invalid_scope' || code === 'unsupported_response_type') return code
  if (status < 500) return 'invalid_request'
  return code === 'internal_error' || code === 'vault_unreadable' ? 'server_error' : 'temporarily_unavailable'
}
