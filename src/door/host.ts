import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.ts'

/**
 * RFC 9112 §3.2: a request of HTTP/1.1 has exactly one Host. Of two, the gateway might log one and something in
 * front of it have judged by the other. Node takes requests that say HTTP/0.9 or HTTP/2.0 for 1.1; they are
 * neither.
 *
 * @throws GatewayError `bad_request` (400), after which the connection is closed
 */
export function checkHost({ rawHeaders, httpVersionMajor, httpVersionMinor }: IncomingMessage): void {
  if (httpVersionMajor !== 1) throw malformed('Only HTTP/1.1 and HTTP/1.0 are served.')
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  if (count > 1) throw malformed('The request has more than one Host header.')
  if (count === 0 && httpVersionMinor === 1) throw malformed('The request has no Host header.')
}

/** Whoever sent this may mean anything by what follows on the same connection. */
function malformed(detail: string): GatewayError {
  return new GatewayError('bad_request', { detail, headers: { Connection: 'close' } })
}
