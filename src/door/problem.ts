import type { ErrorCode, GatewayError } from '../errors.ts'

/** RFC 9457 problem details: what every error of the gateway looks like. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
  /** Stable, for programs. */
  readonly code: string
  /** For the person who looks it up in the log. */
  readonly request_id: string
  /** Where the caller has to go first, of errors that a login mends. */
  readonly login_url?: string
}

export const problemMediaType = 'application/problem+json'

/** The problem document of an error. */
export function toProblem(error: GatewayError, requestId: string): Problem {
  return {
    type: 'about:blank',
    title: error.title,
    status: error.status,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    code: error.code,
    request_id: requestId,
    ...error.members,
  }
}

/** What an OAuth client looks for in an error reply (RFC 6749 §5.2). */
export interface OAuthProblem extends Problem {
  readonly error: string
  readonly error_description: string
}

/** The codes that OAuth has a word of its own for; what is not here goes by its status, see below. */
const oauthErrors: Partial<Record<ErrorCode, string>> = {
  invalid_request: 'invalid_request', //             RFC 6749 §5.2
  invalid_client: 'invalid_client',
  invalid_grant: 'invalid_grant',
  invalid_scope: 'invalid_scope',
  unsupported_grant_type: 'unsupported_grant_type',
  unsupported_response_type: 'unsupported_response_type',
  invalid_token: 'invalid_token', //                 RFC 6750 §3.1
  insufficient_scope: 'insufficient_scope',
  too_many_requests: 'temporarily_unavailable', //   RFC 6749 §4.1.2.1, which registers it for every endpoint
}

/** The problem document of an error of the token endpoints. */
export function toOAuthProblem(error: GatewayError, requestId: string): OAuthProblem {
  return {
    ...toProblem(error, requestId),
    error: oauthErrors[error.code] ?? oauthErrorOfStatus(error.status),
    error_description: errorDescription(error.detail ?? error.title),
  }
}

/** RFC 6749 §5.2, §4.1.2.1: printable ASCII without the quote and the backslash. */
export const errorDescription = (text: string) => text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'")

function oauthErrorOfStatus(status: number): string {
  if (status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}
