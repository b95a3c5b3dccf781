import type { Middleware } from 'koa'
import type { DoorState } from './state.ts'

/** Sets the security headers of one reply of the gateway's own. */
export type SecureReply = (ctx: { set(headers: Record<string, string>): unknown }) => void

/** One year: what browsers' preload lists ask for at least, though nothing here asks to be listed. */
const hstsSeconds = 31_536_000

/**
 * What every reply of the gateway's own says: that it is what its media type says, that no page may frame it or load
 * it from another origin (CORS requests are another matter: Fetch §3.7 asks for this header of `no-cors` requests
 * only), and that as a document it may do nothing. Pages then say what they need (page-security.ts). Houses' replies
 * are theirs.
 *
 * Where the public URL is https it also says so to browsers (RFC 6797), for this host and not for its subdomains,
 * which may be somebody else's.
 */
export function createSecureReply({ publicUrl }: { readonly publicUrl: string }): SecureReply {
  const headers: Record<string, string> = {
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy':
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    // For browsers that do not know frame-ancestors.
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    ...(publicUrl.startsWith('https:') && { 'Strict-Transport-Security': `max-age=${hstsSeconds}` }),
  }
  return (ctx) => ctx.set(headers)
}

/** The same as the first step of the gateway's own endpoints. */
export function createSecurityHeaders(secureReply: SecureReply): Middleware<DoorState> {
  return function securityHeaders(ctx, next) {
    secureReply(ctx)
    return next()
  }
}
