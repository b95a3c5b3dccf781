import Koa, { type Middleware } from 'koa'
import { createAdminServer } from '../admin/server.ts'
import { createBufferCollector } from '../collector.ts'
import type { Config } from '../config/config.ts'
import type { GatewayLog } from '../observability/log.ts'
import type { RequestCounts } from '../observability/request-counts.ts'
import type { Tracing } from '../observability/tracing.ts'
import type { OutlierDetection } from '../proxy/outlier.ts'
import { createProxy, type ProxyOptions } from '../proxy/proxy.ts'
import type { ProxyRoutes } from '../proxy/routes.ts'
import type { WebSocketRelay } from '../proxy/websocket.ts'
import { createAccessLog, createUnparsableLog } from './access-log.ts'
import { createBegin } from './begin.ts'
import { createBodyLimit } from './body-limit.ts'
import { createCors } from './cors.ts'
import { createCountRequests } from './count-requests.ts'
import { createErrorBoundary } from './error-boundary.ts'
import { forwardedIdentity, type IdentifyCaller } from './forwarded.ts'
import type { Overload } from './overload.ts'
import { mountRoutes, type Rooms } from './routes.ts'
import { createSecureReply, createSecurityHeaders } from './security-headers.ts'
import { createDoorServer, type DoorServer, type DoorServerOptions } from './server.ts'
import type { DoorState } from './state.ts'
import { createTurnAway } from './turn-away.ts'
import { createUnnamedProxyNotice } from './unnamed-proxy.ts'
import { createWebSocketDoor } from './websocket.ts'

/** What takes connections: the public port, and that of the admin endpoints where they have one. */
export interface Door extends Pick<DoorServer, 'watch' | 'close'> {
  /** Rejects where an address cannot be listened on; nothing is listened on then. */
  listen(): Promise<{ readonly host: string; readonly port: number; readonly adminUrl: string | undefined }>
}

interface DoorOptions
  extends Pick<Rooms, 'tokens' | 'oauth' | 'pages' | 'readyz' | 'ownPaths'>,
    Pick<DoorServerOptions, 'acceptTurn'> {
  readonly config: Config
  /** On the main port or their own, as the configuration has it. */
  readonly admin: Middleware<DoorState>
  readonly dashboard: Middleware<DoorState>
  readonly log: GatewayLog
  readonly tracing: Tracing | undefined
  readonly requestCounts: Pick<RequestCounts, 'begin' | 'count'>
  readonly random: () => number
  readonly identify: IdentifyCaller
  readonly guard: ProxyOptions['guard']
  readonly inject: ProxyOptions['inject']
  readonly cache: ProxyOptions['cache']
  readonly overload: Overload
  readonly routes: ProxyRoutes
  readonly relay: WebSocketRelay
  readonly outliers: OutlierDetection
  readonly reservedHeaders: ReadonlySet<string>
  /** Whether the gateway is about to stop, and clients are to go elsewhere with what they ask next. */
  readonly leaving: () => boolean
}

/** Puts the door together: what every request passes, and the servers in front of it. */
export function createDoor(options: DoorOptions): Door {
  const { config, log, random, identify, overload, routes, relay, outliers, reservedHeaders } = options
  const {
    admin,
    dashboard,
    tokens,
    oauth,
    pages,
    readyz,
    ownPaths,
    guard,
    inject,
    leaving,
    acceptTurn,
    tracing,
  } = options
  const { corsOrigins, bodyLimit: bodyLimitBytes } = config.protection
  const hasAdminPort = config.admin.port !== undefined
  const namesNoProxy = config.environment === 'production' && config.trustedProxies.length === 0

  const cors = corsOrigins.length === 0 ? undefined : createCors({ origins: corsOrigins })
  const bodyLimit = bodyLimitBytes === undefined ? undefined : createBodyLimit({ bytes: bodyLimitBytes })
  const secureReply = createSecureReply({ publicUrl: config.publicUrl })
  const counted = createCountRequests(options.requestCounts, config.routePrefix)
  const everywhere = {
    begin: createBegin({ identify, tracing }),
    accessLog: createAccessLog({ access: log.access, counted }),
    errorBoundary: createErrorBoundary({ log, secureReply, draining: leaving }),
    securityHeaders: createSecurityHeaders(secureReply),
    readyz,
  }
  const proxy = createProxy({
    routes,
    context: {
      ...{ outliers, random, reservedHeaders },
      idleTimeoutMs: config.timeouts.idleMs,
      passed: createBufferCollector(),
      bodyLimit: bodyLimitBytes,
      amendReply: cors?.amendReply,
      draining: leaving,
    },
    identify: (state) => forwardedIdentity(state.caller, state.requestId, state.trace),
    guard,
    inject,
    cache: options.cache,
  })

  const app = new Koa<DoorState>()
  mountRoutes(app, {
    ...everywhere,
    cors: cors?.middleware,
    ownPaths,
    unnamedProxy: namesNoProxy ? createUnnamedProxyNotice(log) : undefined,
    admin: hasAdminPort ? undefined : admin,
    dashboard: hasAdminPort ? undefined : dashboard,
    ...{ tokens, oauth, pages },
    bodyLimit: bodyLimit?.middleware,
    proxy,
  })
  // Koa reports here what goes wrong after its last middleware: a client that left while a page was written.
  app.on('error', (error: Error) => log.debug({ error: error.message }, 'reply not delivered'))

  const onUnparsable = createUnparsableLog({ access: log.access, counted })
  const server = createDoorServer({
    onRequest: app.callback(),
    turnAway: createTurnAway({ overload, cors, secureReply, draining: leaving }),
    welcomesBody: bodyLimit?.welcomes,
    onWebSocket: createWebSocketDoor({
      ...{ overload, ownPaths, routes, relay, identify, guard, inject, log },
      ...{ access: log.access, counted, tracing },
    }),
    onUnparsable,
    acceptTurn,
  })
  const adminServer = createAdminServer(config.admin, {
    ...{ rooms: { ...everywhere, admin, dashboard }, onUnparsable, acceptTurn, log },
  })

  return {
    async listen() {
      const adminUrl = await adminServer?.listen()
      try {
        const { address, port } = await server.listen(config.port, config.host)
        return { host: address, port, adminUrl }
      } catch (error) {
        await adminServer?.close(AbortSignal.abort())
        throw error
      }
    },
    watch: server.watch,
    async close(signal) {
      await Promise.all([server.close(signal), adminServer?.close(signal)])
    },
  }
}
