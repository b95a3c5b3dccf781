import { GatewayError } from '../errors.ts'
import type { RequestTrace } from '../observability/trace.ts'

/** What the pass needs to know of the request besides its headers. */
export interface RequestHead {
  /** Name, value, name, value …: what undici takes, and already without what must not travel. */
  readonly headers: string[]
  /** Whether a body follows (RFC 9112 §6.3: Content-Length above 0, or Transfer-Encoding). */
  readonly hasBody: boolean
}

/** What the gateway says of the caller and the request; a client's own words under these names are removed. */
export interface ForwardedIdentity {
  readonly requestId: string
  /** Of which `traceparent` and `tracestate` are sent; where it is undefined neither is. */
  readonly trace?: RequestTrace | undefined
  /** For `X-Forwarded-For`: the address list as far as it can be trusted. */
  readonly forwardedFor: string
  readonly forwardedHost: string | undefined
  readonly forwardedProto: 'http' | 'https'
  /** The same as one RFC 7239 `Forwarded` value. */
  readonly forwarded: string
}

/** Nobody in particular is calling. */
export const anonymous: readonly string[] = []

/**
 * Never forwarded. Hop-by-hop by RFC 9110 §7.6.1 (with Keep-Alive and Proxy-Connection, which predate it);
 * Expect is answered by the door's own server; Host, Content-Length and the forwarding headers are set anew, and so
 * is what says to which trace the request belongs.
 */
const removedFromRequest = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
  'host',
  'content-length',
  'forwarded',
  'via',
  'x-request-id',
  'x-real-ip',
  'x-mirrored',
  'traceparent',
  'tracestate',
  'x-request-timeout-ms',
])

/**
 * How long a reply is waited for from the moment that the house has the whole request, in milliseconds. No standard
 * names such a header; Envoy's x-envoy-expected-rq-timeout-ms is about the whole reply, which would have an Envoy
 * beside the house cut streams off.
 */
export const timeoutHeader = 'x-request-timeout-ms'

/** Families of names that only the gateway may speak under: any spelling of them is a look-alike. */
const reservedFamilies = ['x-forwarded-', 'x-user-']

/** In a lower-case name: nearly every name has none. */
const oddCharacter = /[^a-z0-9-]/

/** A lower-case name as CGI-style servers read it, to whom every character but letters and digits is the same. */
export const plainName = (lower: string) =>
  oddCharacter.test(lower) ? lower.replace(/[^a-z0-9]/g, '-') : lower

/**
 * The request's headers as a house gets them. Repeated headers stay repeated and in order, names keep their
 * case.
 *
 * A name is judged by its plain spelling: `X_User_Id` and `X.User.Id` would otherwise slip past.
 *
 * @param user who is calling, as name, value, name, value …
 * @param reserved further lower-case names that only the gateway may speak under
 */
export function requestHeaders(
  rawHeaders: readonly string[],
  identity: ForwardedIdentity,
  user: readonly string[],
  reserved: ReadonlySet<string>,
): RequestHead {
  const headers: string[] = []
  let contentLength: string | undefined
  let chunked = false
  let connection: string | undefined
  let via = ''
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const value = rawHeaders[i + 1]!
    const lower = name.toLowerCase()
    const plain = plainName(lower)
    if (removedFromRequest.has(plain)) {
      if (lower === 'content-length') contentLength = value
      else if (lower === 'transfer-encoding') chunked = checkTransferEncoding(value)
      else if (lower === 'connection')
        connection = connection === undefined ? value : `${connection},${value}`
      else if (lower === 'via') via += `${value}, `
    } else if (!plain.startsWith('x-') || !(isReserved(plain) || reserved.has(plain))) {
      headers.push(name, value)
    }
  }
  const kept =
    connection === undefined || isPlainConnection(connection) ? headers : without(headers, connection)
  const hasBody = chunked || (contentLength !== undefined && contentLength !== '0')
  if (hasBody && !chunked) kept.push('content-length', contentLength!)
  kept.push(
    'via',
    `${via}1.1 munjigi`,
    'x-request-id',
    identity.requestId,
    'x-forwarded-for',
    identity.forwardedFor,
    'x-forwarded-proto',
    identity.forwardedProto,
    'forwarded',
    identity.forwarded,
  )
  if (identity.forwardedHost !== undefined) kept.push('x-forwarded-host', identity.forwardedHost)
  if (identity.trace !== undefined) for (const part of identity.trace.passedOn) kept.push(part)
  for (const part of user) kept.push(part)
  return { headers: kept, hasBody }
}

/** `chunked` is taken off and put on again; a coding beneath it would be lost on the way (RFC 9112 §6.1). */
function checkTransferEncoding(value: string): true {
  if (value.toLowerCase() === 'chunked') return true
  const detail = 'The only Transfer-Encoding that is accepted is chunked.'
  // Where the body ends is not agreed upon: what follows on the connection is no request of anybody's.
  throw new GatewayError('bad_request', { detail, headers: { Connection: 'close' } })
}

function isReserved(plain: string): boolean {
  return reservedFamilies.some((family) => plain.startsWith(family))
}

/** The values nearly every request has: nothing more is named, nothing more to remove. */
function isPlainConnection(value: string): boolean {
  return value === 'keep-alive' || value === 'close' || value === 'Keep-Alive' || value === 'Upgrade'
}

/** Removes the headers that `Connection` names (RFC 9110 §7.6.1). */
function without(headers: string[], connection: string): string[] {
  const named = new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
  return headers.filter((_, i) => !named.has(headers[i - (i % 2)]!.toLowerCase()))
}

/** Never relayed: hop-by-hop, or the gateway's own to say. */
const removedFromResponse = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
])

/**
 * The reply's headers as the client gets them, as Node's flat name, value list.
 *
 * @param upstream as undici gives them: lower-case names, an array where a header was repeated
 * @throws Error where the body has a transfer coding that would be lost on the way
 */
export function responseHeaders(
  upstream: Readonly<Record<string, string | string[] | undefined>>,
  status: number,
  requestId: string,
): string[] {
  const headers = ['x-request-id', requestId]
  const connection = upstream.connection
  const named =
    connection === undefined || connection === 'keep-alive' || connection === 'close'
      ? undefined
      : new Set(
          String(connection)
            .toLowerCase()
            .split(/\s*,\s*/),
        )
  for (const name in upstream) {
    const value = upstream[name]
    if (removedFromResponse.has(name)) {
      if (name === 'transfer-encoding' && String(value).toLowerCase() !== 'chunked') {
        throw new Error('bad transfer coding')
      }
      continue
    }
    if (named?.has(name) || (status === 204 && name === 'content-length')) continue
    if (Array.isArray(value)) for (const one of value) headers.push(name, one)
    else if (value !== undefined) headers.push(name, value)
  }
  return headers
}
