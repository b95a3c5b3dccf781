/**
 * Every error the gateway itself answers with, in one table: stable code → status and title.
 * The boundary (door/error-boundary.ts) turns them into RFC 9457 problem details; nothing else does.
 */
const table = {
  // the caller's fault
  bad_request: [400, 'Bad request'],
  ambiguous_path: [400, 'Ambiguous path'],
  invalid_request: [400, 'Invalid request'],
  invalid_grant: [400, 'Invalid grant'],
  invalid_scope: [400, 'Invalid scope'],
  unsupported_grant_type: [400, 'Unsupported grant type'],
  unsupported_response_type: [400, 'Unsupported response type'],
  authentication_required: [401, 'Authentication required'],
  invalid_token: [401, 'Invalid token'],
  invalid_client: [401, 'Invalid client'],
  insufficient_scope: [403, 'Insufficient scope'],
  connection_required: [403, 'Connection required'],
  origin_not_allowed: [403, 'Origin not allowed'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  reauthorization_required: [409, 'Reauthorization required'],
  request_timeout: [408, 'Request timeout'],
  payload_too_large: [413, 'Payload too large'],
  uri_too_long: [414, 'URI too long'],
  unsupported_media_type: [415, 'Unsupported media type'],
  too_many_requests: [429, 'Too many requests'],
  headers_too_large: [431, 'Request header fields too large'],
  client_closed_request: [499, 'Client closed request'],
  // the gateway's own
  internal_error: [500, 'Internal error'],
  method_not_implemented: [501, 'Method not implemented'],
  database_unavailable: [503, 'Database unavailable'],
  document_unavailable: [503, 'API document not available'],
  token_state_unknown: [503, 'Token state unknown'],
  vault_unreadable: [500, 'Stored token unreadable'],
  refresh_postponed: [503, 'Refresh postponed'],
  // the OAuth provider's fault
  provider_refused: [502, 'Provider refused'],
  provider_bad_response: [502, 'Provider sent an invalid response'],
  provider_unreachable: [502, 'Provider unreachable'],
  provider_timeout: [504, 'Provider timed out'],
  // the house's fault: see proxy/upstream-errors.ts for what leads to which
  upstream_refused: [502, 'Upstream refused the connection'],
  upstream_unreachable: [502, 'Upstream unreachable'],
  upstream_reset: [502, 'Upstream closed the connection before answering'],
  upstream_bad_response: [502, 'Upstream sent an invalid response'],
  no_instance: [503, 'No instance available'],
  overloaded: [503, 'Overloaded'],
  shutting_down: [503, 'Shutting down'],
  upstream_timeout: [504, 'Upstream timed out'],
  // asked with only-if-cached
  not_cached: [504, 'Not cached'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ErrorCode = keyof typeof table

export interface GatewayErrorOptions {
  /** What happened this time, for a person. Shown to the caller: never a secret, an address or a stack. */
  detail?: string
  /** Reply headers that belong to the error, e.g. `Retry-After` or `WWW-Authenticate`. */
  headers?: Readonly<Record<string, string>>
  /** Further members of the problem document (RFC 9457 §3.2), e.g. `login_url`. */
  members?: Readonly<Record<string, string>>
  cause?: unknown
}

/** An error with a stable code, and the only kind whose text reaches a caller. */
export class GatewayError extends Error {
  override name = 'GatewayError'
  readonly code: ErrorCode
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly members: Readonly<Record<string, string>>

  constructor(code: ErrorCode, options: GatewayErrorOptions = {}) {
    const [status, title] = table[code]
    super(options.detail ?? title, { cause: options.cause })
    this.code = code
    this.status = status
    this.title = title
    this.detail = options.detail
    this.headers = options.headers ?? {}
    this.members = options.members ?? {}
  }
}
