import { type IncomingMessage, METHODS } from 'node:http'
import { GatewayError } from '../errors.ts'

/** RFC 3986 §3.2.2 and §3.2.3, without the user information that a Host has no place for; empty is allowed. */
const hostAndPort = /^(?:\[[\w:.%]+\]|[\w.~%!$&'()*+,;=-]*)(?::\d*)?$/

const httpMethods: ReadonlySet<string | undefined> = new Set(METHODS)

/**
 * RFC 9112 §3.2: a request of HTTP/1.1 has exactly one Host, and it is a host. Of two, the gateway might log one and
 * something in front of it have judged by the other. Node takes requests that say HTTP/0.9 or HTTP/2.0 for 1.1, and
 * RTSP's for HTTP/1.0; they are neither. In HTTP/1.0 no body comes in chunks (§6.1): something in front that knows
 * only 1.0 would see the end of the request elsewhere.
 *
 * @throws GatewayError `bad_request` (400), after which the connection is closed
 */
export function checkHost(incoming: IncomingMessage): void {
  const { rawHeaders, httpVersionMajor, httpVersionMinor } = incoming
  if (httpVersionMajor !== 1) throw malformed('Only HTTP/1.1 and HTTP/1.0 are served.')
  if (httpVersionMinor === 0) checkOldRequest(incoming)
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue
    count += 1
    if (!hostAndPort.test(rawHeaders[i + 1]!)) throw malformed('The Host header is not a host and port.')
  }
  if (count > 1) throw malformed('The request has more than one Host header.')
  if (count === 0 && httpVersionMinor === 1) throw malformed('The request has no Host header.')
}

function checkOldRequest({ method, headers }: IncomingMessage): void {
  if (!httpMethods.has(method)) throw malformed('Only HTTP/1.1 and HTTP/1.0 are served.')
  if (headers['transfer-encoding'] !== undefined) throw malformed('HTTP/1.0 has no Transfer-Encoding.')
}

/** Whoever sent this may mean anything by what follows on the same connection. */
function malformed(detail: string): GatewayError {
  return new GatewayError('bad_request', { detail, headers: { Connection: 'close' } })
}
