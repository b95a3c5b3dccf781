import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Middleware } from 'koa'
import type { Table } from '../discovery/table.ts'
import type { Welcome } from '../openapi/endpoints.ts'
import { favicon } from './page.ts'
import { securePage } from './page-security.ts'
import { renderWelcome } from './welcome-page.ts'

export interface WelcomeOptions {
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  /** What browsers see, without a trailing slash. */
  readonly publicUrl: string
  readonly table: { current(): Pick<Table, 'routes'> }
  readonly version: string
  /** Whether the gateway has tokens of its own, and so a login page. */
  readonly tokens: boolean
  /** Whether it leads to the dashboard. */
  readonly dashboard: boolean
}

/** `GET /`: a page where a browser asks for one, JSON for everybody else. */
export function createWelcome(options: WelcomeOptions): Middleware {
  const { routePrefix, publicUrl, table, version, tokens, dashboard } = options
  const style = readFileSync(new URL('welcome.css', import.meta.url), 'utf8')
  const styleSource = `'sha256-${createHash('sha256').update(style).digest('base64')}'`
  const welcome: Welcome = {
    message: 'Welcome to munjigi',
    docs: `${publicUrl}${routePrefix}/docs`,
    openapi: `${publicUrl}${routePrefix}/openapi.json`,
    version,
  }

  return (ctx) => {
    ctx.vary('Accept')
    ctx.set('Cache-Control', 'no-cache')
    // `*/*` gives the first one.
    if (ctx.accepts('json', 'html') !== 'html') {
      ctx.set('X-Content-Type-Options', 'nosniff')
      ctx.body = welcome
      return
    }
    securePage(ctx, { 'style-src': styleSource, 'img-src': favicon.source })
    ctx.type = 'html'
    const { routes } = table.current()
    ctx.body = renderWelcome({ routePrefix, publicUrl, routes, version, login: tokens, dashboard, style })
  }
}
