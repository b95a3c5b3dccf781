import type { Middleware, ParameterizedContext } from 'koa'
import { type AdminGuardOptions, createAdminGuard } from '../admin/guard.ts'
import { favicon } from '../door/page.ts'
import { createNonce, securePage } from '../door/page-security.ts'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import { readAssets } from './assets.ts'
import { createLive, type LiveOptions } from './live.ts'
import { renderDashboard } from './page.ts'
import { createStreams, type StreamsOptions } from './streams.ts'

type Context = ParameterizedContext<DoorState>

export interface DashboardOptions extends AdminGuardOptions, Omit<LiveOptions, 'streams'> {
  /** Where it is mounted: `/dashboard`, after `ROUTE_PREFIX` on the main port. */
  readonly base: string
  /** Calls back when something happened that a page is to show at once. */
  readonly onNews: readonly ((listener: () => void) => void)[]
  readonly limits?: StreamsOptions
}

export interface Dashboard {
  /** Answers the page, its files and its events, and leaves every other path to the next one. */
  readonly middleware: Middleware<DoorState>
  /** Ends every stream: a gateway that leaves would wait for them. */
  stop(): void
}

/**
 * The dashboard. Its page and files say nothing of the gateway and are anybody's who can reach them; the events are for
 * those whom the admin endpoints are for, for as long as they are that: the page asks for a token and bears it itself,
 * so that there is no cookie that a stranger's page could make use of.
 */
export function createDashboard(options: DashboardOptions): Dashboard {
  const { base, onNews, limits, ...live } = options
  const guard = createAdminGuard(options)
  const assets = readAssets()
  const streams = createStreams(limits)
  const { soon, stop } = createLive({ ...live, streams })
  let stopped = false
  for (const subscribe of onNews) subscribe(soon)

  function page(ctx: Context): void {
    const nonce = createNonce()
    securePage(ctx, {
      'script-src': `'nonce-${nonce}'`,
      'style-src': `'nonce-${nonce}'`,
      'img-src': favicon.source,
      'connect-src': "'self'",
    })
    ctx.set('Cache-Control', 'no-store')
    ctx.type = 'html'
    ctx.body = renderDashboard(`${base}/assets/${assets.version}`, nonce)
  }

  async function events(ctx: Context): Promise<void> {
    const admit = () => guard(ctx, async () => {})
    await admit()
    if (ctx.method === 'HEAD') {
      ctx.status = 200
      ctx.set('Content-Type', 'text/event-stream')
      return
    }
    if (stopped) throw new GatewayError('shutting_down', { headers: { 'Retry-After': '5' } })
    const { res: reply } = ctx
    ctx.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' })
    ctx.set('X-Request-Id', ctx.state.requestId)
    if (!streams.open(reply, admit)) {
      throw new GatewayError('too_many_requests', {
        detail: 'As many dashboards are open at this process as may be at a time.',
        headers: { 'Retry-After': '10' },
      })
    }
    ctx.respond = false
    soon()
  }

  return {
    async middleware(ctx, next) {
      const { path } = ctx.state
      if (path !== base && !path.startsWith(`${base}/`)) return next()
      const [first = '', version, name, ...more] = path.slice(base.length + 1).split('/')
      const isFile = first === 'assets' && version === assets.version && more.length === 0
      const answer =
        path === base || path === `${base}/` ? page : path === `${base}/events` ? events : undefined
      if (answer === undefined && !isFile) return next()
      if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
        throw new GatewayError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
      }
      if (answer !== undefined) return answer(ctx)
      if (!assets.serve(ctx, name ?? '')) return next()
    },
    stop() {
      stopped = true
      stop()
    },
  }
}
