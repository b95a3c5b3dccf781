import type Koa from 'koa'
import type { Middleware } from 'koa'
import { GatewayError } from '../errors.ts'
import { checkPath } from './begin.ts'
import { livez } from './health.ts'
import type { OwnPaths } from './own-paths.ts'
import type { DoorState } from './state.ts'

/** The rooms behind the door, each a middleware made by its own factory. */
export interface Rooms {
  readonly begin: Middleware<DoorState>
  readonly accessLog: Middleware<DoorState>
  readonly errorBoundary: Middleware<DoorState>
  /** Where there are origins to let in: nobody else pays for it. */
  readonly cors: Middleware<DoorState> | undefined
  readonly ownPaths: OwnPaths
  /** In production, where no proxies are named. */
  readonly unnamedProxy: Middleware<DoorState> | undefined
  readonly securityHeaders: Middleware<DoorState>
  readonly readyz: Middleware<DoorState>
  /** `/tokens/*` and `/.well-known/*`. */
  readonly tokens: Middleware<DoorState>
  /** `/oauth`, `/oauth/*` and `/login`. */
  readonly oauth: Middleware<DoorState>
  /** `/admin/*` and `/metrics`, where they have no port of their own. */
  readonly admin: Middleware<DoorState> | undefined
  /** `/dashboard` and what is under it, where the admin endpoints are on this port. */
  readonly dashboard: Middleware<DoorState> | undefined
  /** Welcome, Swagger UI and the API document, under `ROUTE_PREFIX`. */
  readonly pages: Middleware<DoorState>
  /** Where there is a limit. */
  readonly bodyLimit: Middleware<DoorState> | undefined
  readonly proxy: Middleware<DoorState>
}

/** The table of contents: what a request passes, in order. */
export function mountRoutes(app: Koa<DoorState>, rooms: Rooms): void {
  app.use(rooms.begin) //                       an id, a trace, and who is at the other end
  app.use(rooms.accessLog) //                   counted, and one line, once it is answered
  app.use(rooms.errorBoundary) //               every error becomes a problem reply here
  if (rooms.cors) app.use(rooms.cors) //        preflights, and who may read the reply
  app.use(checkPath) //                         one reading of the path, or 400
  app.use(
    only(rooms.ownPaths.includes, [
      ...(rooms.unnamedProxy ? [rooms.unnamedProxy] : []),
      rooms.securityHeaders,
      at('/livez', livez),
      at('/readyz', rooms.readyz),
      rooms.tokens, //                          /tokens/*, /.well-known/*
      rooms.oauth, //                           /oauth/*, /login
      ...(rooms.admin ? [rooms.admin] : []), // /admin/*, /metrics
      ...(rooms.dashboard ? [rooms.dashboard] : []), // /dashboard
      rooms.pages, //                           /, /docs, /openapi.json, /openapi/*
      notFound,
    ]),
  )
  if (rooms.bodyLimit) app.use(rooms.bodyLimit) // 413 before a house hears of it
  app.use(rooms.proxy) //                       /api/**: route, instance, house
  app.use(notFound)
}

/** What answers on the port of the admin endpoints. */
export interface AdminRooms
  extends Pick<Rooms, 'begin' | 'accessLog' | 'errorBoundary' | 'securityHeaders' | 'readyz'> {
  readonly admin: Middleware<DoorState>
  readonly dashboard: Middleware<DoorState>
}

/**
 * The same of the admin endpoints' own port, where they have one: they and the probes, which need not stand in line
 * there behind everybody who wants to connect.
 */
export function mountAdminRoutes(app: Koa<DoorState>, rooms: AdminRooms): void {
  app.use(rooms.begin)
  app.use(rooms.accessLog)
  app.use(rooms.errorBoundary)
  app.use(checkPath)
  app.use(rooms.securityHeaders)
  app.use(at('/livez', livez))
  app.use(at('/readyz', rooms.readyz))
  app.use(rooms.admin) //                       /admin/*, /metrics
  app.use(rooms.dashboard) //                   /dashboard
  app.use(notFound)
}

const notFound: Middleware<DoorState> = (ctx) => {
  throw new GatewayError('not_found', { detail: `Nothing is found at ${ctx.state.path}.` })
}

/** Lets a request into these middlewares only if its path is one of theirs; the others never pay for them. */
function only(
  includes: (path: string) => boolean,
  chain: readonly Middleware<DoorState>[],
): Middleware<DoorState> {
  return (ctx, next) => {
    if (!includes(ctx.state.path)) return next()
    const step = (index: number): Promise<unknown> | unknown =>
      chain[index]?.(ctx, async () => step(index + 1))
    return step(0)
  }
}

/** Answers GET and HEAD of one exact path. */
function at(path: string, answer: Middleware<DoorState>): Middleware<DoorState> {
  return (ctx, next) => {
    if (ctx.state.path !== path) return next()
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      throw new GatewayError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
    }
    return answer(ctx, next)
  }
}
