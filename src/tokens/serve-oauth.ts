import type Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import type { TokenState } from './state.ts'

/**
 * Endpoints whose replies hold tokens, and whose errors OAuth clients read; 405 and OPTIONS too.
 * @param base what their paths begin with; other paths of the router's are answered as what they are
 */
export function serveOAuth<State extends TokenState>(
  router: Router<State>,
  base: string,
): Middleware<DoorState> {
  const routes = router.routes() as unknown as Middleware<DoorState>
  return function serve(ctx, next) {
    const { path } = ctx
    if (path === base || path.startsWith(`${base}/`)) {
      ctx.state.oauthErrors = true
      // RFC 6749 §5.1, for every reply that may hold a token or tell of one.
      ctx.set('Cache-Control', 'no-store')
      ctx.set('Pragma', 'no-cache')
    }
    return routes(ctx as Context, async () => {
      const allowed = new Set(router.match(path, ctx.method).path.flatMap(({ methods }) => methods))
      if (allowed.size === 0) return next()
      const allow = [...allowed, 'OPTIONS'].join(', ')
      if (ctx.method !== 'OPTIONS')
        throw new GatewayError('method_not_allowed', { headers: { Allow: allow } })
      ctx.status = 204
      ctx.set('Allow', allow)
    })
  }
}
