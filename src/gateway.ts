import { setTimeout as delay } from 'node:timers/promises'
import Koa from 'koa'
import manifest from '../package.json' with { type: 'json' }
import { addUpRoutes } from './admin/add-up-routes.ts'
import { createAdmin } from './admin/admin.ts'
import { listRoutes } from './admin/list-routes.ts'
import { createAdminServer } from './admin/server.ts'
import type { Config } from './config/config.ts'
import { createReloader } from './config/reload.ts'
import type { RoutingFile } from './config/routing.ts'
import { createAddressBook } from './discovery/address-book.ts'
import { registerGateway } from './discovery/register-gateway.ts'
import type { Registration } from './discovery/registration.ts'
import { createAccessLog, createUnparsableLog } from './door/access-log.ts'
import { createBegin } from './door/begin.ts'
import { createBodyLimit } from './door/body-limit.ts'
import { createCors } from './door/cors.ts'
import { createErrorBoundary } from './door/error-boundary.ts'
import { createIdentifyCaller, forwardedIdentity } from './door/forwarded.ts'
import { createReadyz } from './door/health.ts'
import { createExemption, createOverload } from './door/overload.ts'
import { createOwnPaths } from './door/own-paths.ts'
import { createPages } from './door/pages.ts'
import { mountRoutes } from './door/routes.ts'
import { createSecureReply, createSecurityHeaders } from './door/security-headers.ts'
import { createDoorServer } from './door/server.ts'
import type { DoorState } from './door/state.ts'
import { createTurnAway } from './door/turn-away.ts'
import { createUnnamedProxyNotice } from './door/unnamed-proxy.ts'
import { createWebSocketDoor } from './door/websocket.ts'
import { createOAuth } from './oauth/oauth.ts'
import { gatewayMetrics } from './observability/gateway-metrics.ts'
import { createLog, type GatewayLog } from './observability/log.ts'
import { addUpMetrics, createMetrics } from './observability/metrics.ts'
import { createDatabase, type Database } from './persistence/database.ts'
import type { Embedded } from './persistence/embedded.ts'
import type { EncryptionKey } from './persistence/sealer.ts'
import { gatewayTables } from './persistence/tables.ts'
import { createOutlierDetection } from './proxy/outlier.ts'
import { createProxy } from './proxy/proxy.ts'
import { createProxyRoutes } from './proxy/routes.ts'
import { createUpstreams } from './proxy/upstreams.ts'
import { createWebSocketRelay } from './proxy/websocket.ts'
import { createTokens } from './tokens/tokens.ts'
import { alone, type JoinPeers } from './workers/peers.ts'

/** How long a start waits for the embedded database, which takes 3 s the first time. */
const embeddedStartMs = 15_000

/** A gateway that has been put together; nothing runs until `start`. */
export interface Gateway {
  /**
   * Starts discovery and takes connections, on the admin port too where there is one. Rejects where an address cannot
   * be listened on.
   */
  start(): Promise<{ readonly host: string; readonly port: number; readonly adminUrl: string | undefined }>
  /** Drains and stops: see `stop` below. Resolves when nothing is left running; never rejects. */
  stop(): Promise<void>
  /** Whether every discovery source has spoken, and tokens can be issued and judged. */
  readonly ready: () => boolean
  /** Reads gateway.yaml now, changed or not; what is wrong with it is logged. */
  reload(): void
}

/** What cannot be read from the configuration, and what a test may put in place of the real thing. */
export interface GatewayParts {
  /** What secrets are stored under (persistence/encryption-keys.ts); needed where there is a database. */
  readonly encryptionKeys?: readonly EncryptionKey[]
  /** An embedded database that the process has open already; it stays open. */
  readonly embedded?: Embedded | undefined
  readonly log?: GatewayLog
  /** Followed while the gateway runs, where it is given. */
  readonly configFile?: RoutingFile
  /** The other processes of this gateway, where it has more than one. */
  readonly peers?: JoinPeers
  readonly random?: () => number
}

/** The composition root: every part is made here, once, and handed what it needs. */
export function createGateway(config: Config, parts: GatewayParts = {}): Gateway {
  const log =
    parts.log ??
    createLog({
      level: config.logLevel,
      format: config.environment === 'production' ? 'json' : 'people',
    })
  const { random = Math.random, encryptionKeys = [], embedded, configFile } = parts
  let stopping = false

  const ownPaths = createOwnPaths(config.routePrefix)
  const addressBook = createAddressBook({
    discovery: config.discovery,
    overrides: config.services,
    reserved: ownPaths.reserves,
    log,
  })

  const reloader =
    configFile &&
    createReloader({
      file: configFile,
      routing: { ...config, sources: config.discovery.sources },
      apply: addressBook.reload,
      log,
    })

  const outliers = createOutlierDetection({ log })
  const upstreams = createUpstreams({
    connectTimeoutMs: config.timeouts.connectMs,
    idleTimeoutMs: config.timeouts.idleMs,
  })
  const routes = createProxyRoutes({
    upstreams,
    outliers,
    defaultTimeoutMs: config.timeouts.requestMs,
    random,
    log,
  })
  addressBook.subscribe(routes.update)
  const identify = createIdentifyCaller(config.trustedProxies)
  const database: Database | undefined =
    config.database.kind === 'none'
      ? undefined
      : createDatabase({ config: config.database, ...gatewayTables, log, ...(embedded && { embedded }) })
  const tokens = createTokens({ config, encryptionKeys, database, log })
  const oauth = createOAuth({
    ...{ config, encryptionKeys, database, log },
    tokens: tokens.own,
    guard: tokens.guard,
  })
  const reservedHeaders = new Set(
    [...Object.values(config.tokens.headers), config.oauth.tokenHeader].map((name) => name.toLowerCase()),
  )
  const relay = createWebSocketRelay({
    outliers,
    random,
    renew: routes.renew,
    reservedHeaders,
    idleTimeoutMs: config.timeouts.webSocketIdleMs,
    isRevoked: tokens.isRevoked,
  })

  const pages = createPages({
    routePrefix: config.routePrefix,
    publicUrl: config.publicUrl,
    table: addressBook,
    version: manifest.version,
    tokens: config.database.kind !== 'none',
    dummies: config.tokens.dummies,
    isOwn: ownPaths.includes,
    log,
  })

  const { corsOrigins, bodyLimit: bodyLimitBytes } = config.protection
  const cors = corsOrigins.length === 0 ? undefined : createCors({ origins: corsOrigins })
  const bodyLimit = bodyLimitBytes === undefined ? undefined : createBodyLimit({ bytes: bodyLimitBytes })
  const secureReply = createSecureReply({ publicUrl: config.publicUrl })
  const overload = createOverload({
    limitMs: config.protection.overloadDelayMs,
    isExempt: createExemption(`${config.routePrefix}/admin`),
    random,
    log,
  })

  const observed = { addressBook, routes, config: reloader?.status }
  const metrics = createMetrics(
    gatewayMetrics({ ...observed, outliers, overload, version: manifest.version }),
  )
  const peers = (parts.peers ?? alone)({ routes: () => listRoutes(observed), metrics: metrics.snapshot })

  const admin = createAdmin({
    base: config.admin.port === undefined ? `${config.routePrefix}/admin` : '/admin',
    ...{ token: config.admin.token, guard: tokens.guard, issuer: config.tokens.issuer },
    ...{ ...observed, ownPaths, reservedHeaders, settings: config },
    scrape: async () => addUpMetrics(await peers.gather('metrics')),
    listRoutes: async () => addUpRoutes(listRoutes(observed), await peers.gather('routes')),
  })
  const everywhere = {
    begin: createBegin({ identify }),
    accessLog: createAccessLog(log),
    errorBoundary: createErrorBoundary({ log, secureReply, draining: () => stopping }),
    securityHeaders: createSecurityHeaders(secureReply),
    readyz: createReadyz({
      discovered: addressBook.ready,
      sources: addressBook.sources,
      tokens,
      config: reloader?.status,
      stopping: () => stopping,
    }),
  }

  const app = new Koa<DoorState>()
  mountRoutes(app, {
    ...everywhere,
    cors: cors?.middleware,
    ownPaths,
    unnamedProxy:
      config.environment === 'production' && config.trustedProxies.length === 0
        ? createUnnamedProxyNotice(log)
        : undefined,
    admin: config.admin.port === undefined ? admin : undefined,
    tokens: tokens.middleware,
    oauth: oauth.middleware,
    pages: pages.middleware,
    bodyLimit: bodyLimit?.middleware,
    proxy: createProxy({
      routes,
      context: {
        outliers,
        random,
        idleTimeoutMs: config.timeouts.idleMs,
        reservedHeaders,
        bodyLimit: bodyLimitBytes,
        amendReply: cors?.amendReply,
        draining: () => stopping,
      },
      identify: (state) => forwardedIdentity(state.caller, state.requestId),
      guard: oauth.guard,
    }),
  })
  // Koa reports here what goes wrong after its last middleware: a client that left while a page was written.
  app.on('error', (error: Error) => log.debug({ error: error.message }, 'reply not delivered'))

  const onUnparsable = createUnparsableLog(log)
  const server = createDoorServer({
    onRequest: app.callback(),
    turnAway: createTurnAway({ overload, cors, secureReply, draining: () => stopping }),
    welcomesBody: bodyLimit?.welcomes,
    onWebSocket: createWebSocketDoor({
      overload,
      ownPaths,
      routes,
      relay,
      identify,
      guard: oauth.guard,
      access: log.access,
      log,
    }),
    onUnparsable,
  })
  const adminServer = createAdminServer(config.admin, { rooms: { ...everywhere, admin }, onUnparsable, log })

  async function shutDown(): Promise<void> {
    // Whoever sends traffic is told first, and given time to hear it, before any connection is refused.
    // Clients are told from now on, by `Connection: close`, so that few connections are left when that time is over.
    stopping = true
    server.watch(config.drain.delayMs > 0)
    await Promise.all([registration?.stop(), delay(config.drain.delayMs)])
    relay.closeAll()
    const timeout = AbortSignal.timeout(Math.max(1, config.drain.timeoutMs))
    await Promise.all([server.close(timeout), adminServer?.close(timeout)])
    await pages.stop()
    reloader?.stop()
    await addressBook.stop()
    tokens.stop()
    await oauth.stop()
    await database?.stop()
    outliers.stop()
    overload.stop()
    await upstreams.destroy()
    log.flush()
  }

  let registration: Registration | undefined
  let stopped: Promise<void> | undefined
  return {
    async start() {
      addressBook.start()
      tokens.start()
      oauth.start()
      const databaseStarted = database?.start()
      try {
        // It is here or nowhere. A server is waited for with the doors open: live, but not ready.
        if (config.database.kind === 'embedded') {
          await Promise.race([databaseStarted, delay(embeddedStartMs, undefined, { ref: false })])
        }
        const adminUrl = await adminServer?.listen()
        const { address, port } = await server.listen(config.port, config.host)
        pages.start()
        overload.start()
        reloader?.start()
        registration = registerGateway(config, port, log, addressBook.ready)
        return { host: address, port, adminUrl }
      } catch (error) {
        await adminServer?.close(AbortSignal.abort())
        await addressBook.stop()
        tokens.stop()
        await oauth.stop()
        await database?.stop()
        throw error
      }
    },
    stop() {
      stopped ??= shutDown()
      return stopped
    },
    ready: () => addressBook.ready() && tokens.ready(),
    reload: () => reloader?.reload(),
  }
}
