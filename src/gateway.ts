import { setTimeout as delay } from 'node:timers/promises'
import manifest from '../package.json' with { type: 'json' }
import { createOperations } from './admin/operations.ts'
import { createResponseCache } from './cache/cache.ts'
import type { Config } from './config/config.ts'
import { createReloader } from './config/reload.ts'
import type { RoutingFile } from './config/routing.ts'
import { createAddressBook } from './discovery/address-book.ts'
import { registerGateway } from './discovery/register-gateway.ts'
import type { Registration } from './discovery/registration.ts'
import { createDoor } from './door/door.ts'
import { createIdentifyCaller } from './door/forwarded.ts'
import { createReadyz } from './door/health.ts'
import { createExemption, createOverload } from './door/overload.ts'
import { createOwnPaths } from './door/own-paths.ts'
import { createPages } from './door/pages.ts'
import { createOAuth } from './oauth/oauth.ts'
import { createLog, type GatewayLog } from './observability/log.ts'
import type { LevelChange } from './observability/log-level.ts'
import { createRequestCounts } from './observability/request-counts.ts'
import { createTracing } from './observability/tracing.ts'
import { createDatabase, type Database } from './persistence/database.ts'
import type { Embedded } from './persistence/embedded.ts'
import type { EncryptionKey } from './persistence/sealer.ts'
import { gatewayTables } from './persistence/tables.ts'
import { createOutlierDetection } from './proxy/outlier.ts'
import { createProxyRoutes } from './proxy/routes.ts'
import { createUpstreams } from './proxy/upstreams.ts'
import { createWebSocketRelay } from './proxy/websocket.ts'
import { createRateLimits } from './rate/rate-limits.ts'
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
  /** Where its level is not the configured one. */
  readonly logLevel?: LevelChange | undefined
  /** Followed while the gateway runs, where it is given. */
  readonly configFile?: RoutingFile
  /** The other processes of this gateway, where it has more than one. */
  readonly peers?: JoinPeers
  /** A turn of the event loop that takes connections, where that is another process's. */
  readonly acceptTurn?: () => Promise<void>
  readonly random?: () => number
}

/** The composition root: every part is made here, once, and handed what it needs. */
export function createGateway(config: Config, parts: GatewayParts = {}): Gateway {
  const log =
    parts.log ??
    createLog({
      level: config.logLevel,
      paths: config.logPaths,
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
  const database: Database | undefined =
    config.database.kind === 'none'
      ? undefined
      : createDatabase({ config: config.database, ...gatewayTables, log, ...(embedded && { embedded }) })
  const rateLimits = createRateLimits({
    // The embedded one is this process's alone: there is nobody to share with.
    database: config.database.kind === 'postgres' ? database : undefined,
    schema: gatewayTables.schema,
    log,
  })
  const routes = createProxyRoutes({
    upstreams,
    outliers,
    rateLimits,
    defaultTimeoutMs: config.timeouts.requestMs,
    random,
    log,
  })
  addressBook.subscribe(routes.update)
  const requestCounts = createRequestCounts()
  addressBook.subscribe(({ routes: now }) => requestCounts.retain(now))
  const tracing = createTracing(config, { version: manifest.version, log })
  const identify = createIdentifyCaller(config.trustedProxies)
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
    dashboard: config.environment !== 'production' && config.admin.port === undefined,
    dummies: config.tokens.dummies,
    loginScope:
      config.database.kind !== 'none' && config.oauth.providers.length > 0
        ? config.oauth.loginScope
        : undefined,
    log,
  })

  const overload = createOverload({
    limitMs: config.protection.overloadDelayMs,
    isExempt: createExemption(`${config.routePrefix}/admin`, `${config.routePrefix}/dashboard`),
    random,
    log,
  })

  const cache = config.cacheSizeBytes > 0 ? createResponseCache(config.cacheSizeBytes) : undefined
  const operations = createOperations({
    ...{ config, version: manifest.version, log, logLevel: parts.logLevel, peers: parts.peers ?? alone },
    ...{ addressBook, routes, outliers, overload, rateLimits, cache, requestCounts, tracing },
    ...{ tokens, oauth, database, documents: pages.documents, ownPaths, reservedHeaders },
    reloadStatus: reloader?.status,
    stopping: () => stopping,
  })
  const door = createDoor({
    cache,
    ...{ config, log, tracing, requestCounts, random, identify, ownPaths },
    ...{ overload, reservedHeaders, outliers, routes, relay },
    ...{
      ...{ admin: operations.admin, dashboard: operations.dashboard },
      tokens: tokens.middleware,
      oauth: oauth.middleware,
      pages: pages.middleware,
      guard: tokens.guard,
      inject: oauth.inject,
    },
    readyz: createReadyz({
      discovered: addressBook.ready,
      sources: addressBook.sources,
      tokens,
      config: reloader?.status,
      stopping: () => stopping,
    }),
    leaving: () => stopping,
    acceptTurn: parts.acceptTurn,
  })

  async function shutDown(): Promise<void> {
    // Whoever sends traffic is told first, and given time to hear it, before any connection is refused.
    // Clients are told from now on, by `Connection: close`, so that few connections are left when that time is over.
    stopping = true
    door.watch(config.drain.delayMs > 0)
    await Promise.all([registration?.stop(), delay(config.drain.delayMs)])
    relay.closeAll()
    operations.closeDashboards()
    await door.close(AbortSignal.timeout(Math.max(1, config.drain.timeoutMs)))
    await pages.stop()
    reloader?.stop()
    await addressBook.stop()
    tokens.stop()
    await oauth.stop()
    await rateLimits.stop()
    await database?.stop()
    outliers.stop()
    overload.stop()
    await upstreams.destroy()
    await tracing?.stop()
    operations.stop()
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
        await tracing?.start()
        const { host, port, adminUrl } = await door.listen()
        pages.start()
        overload.start()
        operations.start()
        reloader?.start()
        registration = registerGateway(config, port, log, () => addressBook.ready() && tokens.ready())
        return { host, port, adminUrl }
      } catch (error) {
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
    reload: () => void reloader?.reload(),
  }
}
