import { isIP } from 'node:net'
import type { Context } from 'koa'
import { countedAddress } from '../../src/door/client-address.ts'

/**
 * Whom the caller's address stands for (IPv6: its /64). The service stands behind the gateway, which removes
 * every X-Forwarded-For that it was sent and writes its own: the client first, as far as TRUSTED_PROXIES let it
 * be believed, then the proxies in between. Whoever reaches the service past the gateway could write anything
 * there, but also in X-User-Id: it must not be reachable for anybody else.
 */
export function clientAddress(ctx: Context): string {
  const first = ctx.get('x-forwarded-for').split(',', 1)[0]!.trim()
  const address = isIP(first) === 0 ? (ctx.req.socket.remoteAddress ?? 'unknown') : first
  return countedAddress(address.replace(/^::ffff:(?=[\d.]+$)/, '').replace(/%.*$/, ''))
}
