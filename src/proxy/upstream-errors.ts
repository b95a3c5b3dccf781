import { type ErrorCode, GatewayError } from '../errors.ts'

/** What became of the request, as far as the connection tells. */
export interface UpstreamFailure {
  readonly code: ErrorCode
  /** The request's head was never written: sending it elsewhere repeats nothing. */
  readonly neverSent: boolean
  /** The instance was not there or broke off: counts towards its ejection. */
  readonly blamesInstance: boolean
}

/** How often each was met at a service, by attempts: one that another attempt made good is among them. */
export type UpstreamErrors = Map<ErrorCode, number>

export function countError(errors: UpstreamErrors, code: ErrorCode): void {
  errors.set(code, (errors.get(code) ?? 0) + 1)
}

/** Node's and undici's codes → ours. What is not named here is a broken reply. */
const byCode: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'upstream_refused',
  UND_ERR_CONNECT_TIMEOUT: 'upstream_unreachable',
  ETIMEDOUT: 'upstream_unreachable',
  EHOSTUNREACH: 'upstream_unreachable',
  ENETUNREACH: 'upstream_unreachable',
  EADDRNOTAVAIL: 'upstream_unreachable',
  ENOTFOUND: 'upstream_unreachable',
  EAI_AGAIN: 'upstream_unreachable',
  ECONNRESET: 'upstream_reset',
  EPIPE: 'upstream_reset',
  UND_ERR_SOCKET: 'upstream_reset',
  UND_ERR_HEADERS_TIMEOUT: 'upstream_timeout',
  UND_ERR_BODY_TIMEOUT: 'upstream_timeout',
}

/**
 * Maps what undici reports to the reply a caller gets: refused, unreachable, reset and invalid replies are
 * 502, silence is 504 (errors.ts has the statuses).
 *
 * @param started whether the request's head had been written to a connection
 * @param answered whether the reply's head has come
 */
export function classifyFailure(error: unknown, started: boolean, answered = false): UpstreamFailure {
  // The request's body turned out too large: our own word for it, and nobody's fault but the caller's.
  if (error instanceof GatewayError) return { code: error.code, neverSent: false, blamesInstance: false }
  const found = codeOf(error)
  if (!started) {
    // Node lets more through than undici will write: a target with a tab in it, for one.
    if (found === 'UND_ERR_INVALID_ARG')
      return { code: 'bad_request', neverSent: false, blamesInstance: false }
    // A TLS handshake that fails has no code of its own here: unreachable, like every failed connect.
    const code = found === 'ECONNREFUSED' ? 'upstream_refused' : 'upstream_unreachable'
    return { code, neverSent: true, blamesInstance: true }
  }
  // Short of its length; before the head has come, undici gives any parser's error this code.
  const isCutShort = answered && found === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  const code = isCutShort ? 'upstream_reset' : (byMessage(error) ?? byCode[found] ?? 'upstream_bad_response')
  return { code, neverSent: false, blamesInstance: true }
}

/** What undici gives the same code or none, and only its message tells apart. */
function byMessage(error: unknown): ErrorCode | undefined {
  if (!(error instanceof Error)) return undefined
  // "bad response", "bad upgrade": under the code of a closed socket.
  if (error.message.startsWith('bad ')) return 'upstream_bad_response'
  // A chunked reply that ends short of its last chunk: like any other parser's error.
  return error.message.includes('Invalid EOF state') ? 'upstream_reset' : undefined
}

/** Happy Eyeballs wraps the attempts' errors in one AggregateError; the first one's code stands for all. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return ''
}
