import type { Middleware } from 'koa'
import type { ResponseCache } from '../cache/cache.ts'
import type { Config } from '../config/config.ts'
import { createDashboard } from '../dashboard/dashboard.ts'
import { createOwnStatus } from '../dashboard/own-status.ts'
import type { AddressBook } from '../discovery/address-book.ts'
import type { Overload } from '../door/overload.ts'
import type { DoorState } from '../door/state.ts'
import type { OAuth } from '../oauth/oauth.ts'
import { type GatewayMetricsOptions, gatewayMetrics } from '../observability/gateway-metrics.ts'
import type { GatewayLog } from '../observability/log.ts'
import { createLevelSwitch, type LevelChange } from '../observability/log-level.ts'
import { addUpMetrics, createMetrics } from '../observability/metrics.ts'
import type { RequestCounts } from '../observability/request-counts.ts'
import type { OutlierDetection } from '../proxy/outlier.ts'
import type { ProxyRoutes } from '../proxy/routes.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { JoinPeers } from '../workers/peers.ts'
import { addUpRoutes } from './add-up-routes.ts'
import { createAdmin } from './admin.ts'
import type { ExplainOptions } from './explain.ts'
import { listRoutes, type Observed } from './list-routes.ts'
import { createLogLevelEndpoint } from './log-level.ts'

/** Every part that an operator is told of. */
export interface OperationsOptions
  extends Pick<GatewayMetricsOptions, 'version' | 'database' | 'rateLimits' | 'documents' | 'tracing'>,
    Pick<ExplainOptions, 'ownPaths' | 'reservedHeaders'> {
  readonly config: Config
  readonly log: GatewayLog
  /** Where the level of the log is not the configured one at the start. */
  readonly logLevel: LevelChange | undefined
  readonly peers: JoinPeers
  readonly addressBook: AddressBook
  readonly routes: ProxyRoutes
  readonly outliers: OutlierDetection
  readonly overload: Overload
  readonly cache: ResponseCache | undefined
  readonly requestCounts: RequestCounts
  readonly tokens: Tokens
  readonly oauth: OAuth
  /** Where gateway.yaml is followed. */
  readonly reloadStatus: Observed['config']
  readonly stopping: () => boolean
}

export interface Operations {
  /** `/admin/*` and `/metrics`. */
  readonly admin: Middleware<DoorState>
  /** `/dashboard` and what is under it. */
  readonly dashboard: Middleware<DoorState>
  /** Begins to keep what the dashboard shows of the last minutes. */
  start(): void
  /** Ends the dashboards' streams, which a gateway that leaves would wait for. */
  closeDashboards(): void
  stop(): void
}

/**
 * What the gateway says of itself to an operator: admin endpoints, metrics and the dashboard. Each is answered for all
 * processes of the gateway, whichever is asked.
 */
export function createOperations(options: OperationsOptions): Operations {
  const { config, version, log, addressBook, routes, outliers, overload, requestCounts } = options
  const { tokens, documents, ownPaths, reservedHeaders, reloadStatus, stopping } = options
  const observed: Observed = { addressBook, routes, config: reloadStatus }
  const metrics = createMetrics(gatewayMetrics({ ...options, config: reloadStatus }))
  const status = createOwnStatus({ listRoutes: () => listRoutes(observed), counts: requestCounts, overload })
  const levels = createLevelSwitch({ log, change: options.logLevel })
  const peers = options.peers({
    routes: () => listRoutes(observed),
    metrics: metrics.snapshot,
    status: status.status,
    traffic: status.traffic,
    logLevel: levels.ask,
  })

  const prefix = config.admin.port === undefined ? config.routePrefix : ''
  const guard = {
    ...{ token: config.admin.token, guard: tokens.guard, issuer: config.tokens.issuer },
    failures: tokens.failures,
  }
  const dashboard = createDashboard({
    ...{ base: `${prefix}/dashboard`, ...guard, log },
    gatherStatus: () => peers.gather('status'),
    gatherTraffic: () => peers.gather('traffic'),
    onNews: [outliers.subscribe, addressBook.subscribe],
    asked: {
      ...{ version, tokens, addressBook, documents },
      state: () => (stopping() ? 'stopping' : addressBook.ready() && tokens.ready() ? 'ready' : 'starting'),
    },
  })
  const admin = createAdmin({
    ...{ base: `${prefix}/admin`, ...guard },
    ...{ ...observed, ownPaths, reservedHeaders, settings: config },
    scrape: async () => addUpMetrics(await peers.gather('metrics')),
    listRoutes: async () => addUpRoutes(await peers.gather('routes')),
    logLevel: createLogLevelEndpoint((change) => peers.gather('logLevel', change)),
  })

  return {
    admin,
    dashboard: dashboard.middleware,
    start: status.start,
    closeDashboards: dashboard.stop,
    stop() {
      status.stop()
      levels.stop()
    },
  }
}
