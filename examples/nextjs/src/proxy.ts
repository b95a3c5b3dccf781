import { type NextRequest, NextResponse } from 'next/server'
import { randomText } from './server/random.ts'
import { readSettings } from './server/settings.ts'

/** Gives every page a Content-Security-Policy with a nonce of its own, which Next.js puts on its scripts. */
export function proxy(request: NextRequest) {
  const policy = policyWith(randomText())
  const headers = new Headers(request.headers)
  headers.set('Content-Security-Policy', policy)
  const response = NextResponse.next({ request: { headers } })
  response.headers.set('Content-Security-Policy', policy)
  return response
}

export const config = { matcher: '/((?!_next/static|icon.svg).*)' }

/** Nothing but this front end's own, and requests to the gateway. */
function policyWith(nonce: string): string {
  const { gatewayUrl } = readSettings()
  // React's development build evaluates code and writes style elements, and is told of changes by a WebSocket.
  const development = process.env.NODE_ENV === 'development'
  const also = (source: string) => (development ? ` ${source}` : '')
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'strict-dynamic'${also("'unsafe-eval'")}`,
    `style-src 'self'${also("'unsafe-inline'")}`,
    "img-src 'self'",
    "font-src 'self'",
    `connect-src 'self' ${gatewayUrl}${also('ws:')}`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
