import type { Middleware, ParameterizedContext } from 'koa'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import type { Scrape } from '../observability/metrics.ts'
import { createExplain, type ExplainOptions } from './explain.ts'
import { type AdminGuardOptions, createAdminGuard } from './guard.ts'
import type { RoutesView } from './list-routes.ts'
import type { LogLevelEndpoint } from './log-level.ts'

type Context = ParameterizedContext<DoorState>

export interface AdminOptions extends AdminGuardOptions, ExplainOptions {
  /** Where it is mounted: `/admin`, after `ROUTE_PREFIX` on the main port. */
  readonly base: string
  /** The live table, of all processes of this gateway. */
  readonly listRoutes: () => Promise<RoutesView>
  /** The level of the log, of the same. */
  readonly logLevel: LogLevelEndpoint
  /** The metrics of the same. */
  readonly scrape: () => Promise<Scrape>
}

/** Answers `/admin/*` and `/metrics` of those who may ask, and leaves every other path to the next one. */
export function createAdmin(options: AdminOptions): Middleware<DoorState> {
  const { base } = options
  const guard = createAdminGuard(options)
  const explain = createExplain(options)
  const endpoints: Readonly<Record<string, (ctx: Context) => unknown>> = {
    async '/metrics'(ctx) {
      const { contentType, text } = await options.scrape()
      ctx.set('Content-Type', contentType)
      return text
    },
    async [`${base}/routes`](ctx) {
      ctx.type = 'json'
      // Megabytes of a large table: Koa would write it twice, once for its length.
      return JSON.stringify(await options.listRoutes())
    },
    [`${base}/log-level`]: () => options.logLevel.read(),
    [`${base}/explain`]({ query, state }) {
      const { method, url } = query
      if (typeof method !== 'string' || typeof url !== 'string' || method === '' || url === '') {
        throw new GatewayError('bad_request', { detail: 'Expected one method and one url in the query.' })
      }
      return explain(method.toUpperCase(), url, state.caller)
    },
  }

  const changes: Readonly<Record<string, (ctx: Context) => unknown>> = {
    [`${base}/log-level`]: (ctx) => options.logLevel.change(ctx),
  }

  return function admin(ctx, next) {
    const { path } = ctx.state
    if (path !== '/metrics' && path !== base && !path.startsWith(`${base}/`)) return next()
    // Also of what is not there: a stranger learns nothing here.
    return guard(ctx, async () => {
      const mayChange = Object.hasOwn(changes, path)
      const isChange = ctx.method === 'PUT' && mayChange
      const known = isChange ? changes : endpoints
      const endpoint = Object.hasOwn(known, path) ? known[path] : undefined
      if (endpoint === undefined) return next()
      if (!isChange && ctx.method !== 'GET' && ctx.method !== 'HEAD') {
        const headers = { Allow: mayChange ? 'GET, HEAD, PUT' : 'GET, HEAD' }
        throw new GatewayError('method_not_allowed', { headers })
      }
      ctx.set('Cache-Control', 'no-store')
      ctx.body = await endpoint(ctx)
    })
  }
}
