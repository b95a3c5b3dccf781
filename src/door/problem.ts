import type { GatewayError } from '../errors.ts'

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
  }
}
