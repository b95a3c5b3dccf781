import type { Middleware } from 'koa'
import type { Log } from '../observability/log.ts'
import type { DoorState } from './state.ts'

/**
 * Says once that requests seem to come through a proxy that TRUSTED_PROXIES does not name: all of its clients have
 * one address then, and share what one address may do. For the gateway's own paths, where addresses are counted;
 * forwarded requests do not pay for it.
 */
export function createUnnamedProxyNotice(log: Pick<Log, 'warn'>): Middleware<DoorState> {
  let told = false
  return function noticeUnnamedProxy(ctx, next) {
    if (!told && ctx.req.headers['x-forwarded-for'] !== undefined) {
      told = true
      const { address } = ctx.state.caller
      log.warn(
        { proxyAddress: address },
        `a request with X-Forwarded-For came from ${address}, which TRUSTED_PROXIES does not name: ` +
          'if requests come through a proxy there, its clients are counted as one',
      )
    }
    return next()
  }
}
