import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'

/** Sources of a page beyond the default, which is nothing at all. */
export type PageSources = Readonly<
  Partial<
    Record<'script-src' | 'style-src' | 'style-src-attr' | 'img-src' | 'font-src' | 'connect-src', string>
  >
>

/**
 * What a page and a window that it opened, or was opened by, keep of each other (HTML §7.1.3): nothing, but where a
 * login goes through a window of its own. Swagger UI's page, which opens it, keeps windows (`…-allow-popups`), and is
 * itself kept by nobody who opens it. The gateway's pages in that window are `unsafe-none`: else the browser would take
 * it for another one, which must not close itself. What an opener of another origin has of those is little: it can send
 * the window elsewhere, and see that it is closed. They cannot be framed, hold no secret, and listen to no message.
 */
export type OpenerPolicy = 'same-origin' | 'same-origin-allow-popups' | 'unsafe-none'

/**
 * Sets the security headers of a page of the gateway's own. The gateway shares its origin with every service
 * behind it, so 'self' is no mark of trust: scripts and styles are let in by nonce or hash only.
 */
export function securePage(
  ctx: Pick<Context, 'set'>,
  sources: PageSources,
  openerPolicy: OpenerPolicy = 'same-origin',
): void {
  const directives = [
    "default-src 'none'",
    ...Object.entries(sources).map(([directive, value]) => `${directive} ${value}`),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  ctx.set('Content-Security-Policy', directives.join('; '))
  ctx.set('X-Content-Type-Options', 'nosniff')
  ctx.set('Referrer-Policy', 'no-referrer')
  ctx.set('Cross-Origin-Opener-Policy', openerPolicy)
}

/** For one reply only (CSP level 3, §2.3.1: at least 128 bits). */
export const createNonce = () => randomBytes(18).toString('base64url')
