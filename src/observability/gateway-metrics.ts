import type { ResponseCache } from '../cache/cache.ts'
import type { ReloadStatus } from '../config/reload.ts'
import type { AddressBook } from '../discovery/address-book.ts'
import type { Overload } from '../door/overload.ts'
import type { DocumentCollector } from '../openapi/collect.ts'
import type { Database } from '../persistence/database.ts'
import type { RateLimits } from '../rate/rate-limits.ts'
import { cacheMetrics } from './cache-metrics.ts'
import { configMetrics } from './config-metrics.ts'
import { databaseMetrics } from './database-metrics.ts'
import { discoveryMetrics } from './discovery-metrics.ts'
import { documentMetrics } from './document-metrics.ts'
import { type IdentityMetricsOptions, identityMetrics } from './identity-metrics.ts'
import type { GatewayLog } from './log.ts'
import { logMetrics } from './log-metrics.ts'
import { gauge, type MetricSource } from './metric-source.ts'
import { overloadMetrics } from './overload-metrics.ts'
import { rateMetrics } from './rate-metrics.ts'
import type { RequestCounts } from './request-counts.ts'
import { requestMetrics } from './request-metrics.ts'
import { type ServiceMetricsOptions, serviceMetrics } from './service-metrics.ts'
import type { Tracing } from './tracing.ts'
import { tracingMetrics } from './tracing-metrics.ts'

export interface GatewayMetricsOptions extends ServiceMetricsOptions, IdentityMetricsOptions {
  readonly version: string
  readonly log: Pick<GatewayLog, 'droppedBytes'>
  readonly addressBook: Pick<AddressBook, 'current' | 'sources' | 'problems' | 'provenance'>
  /** Where gateway.yaml is followed. */
  readonly config: (() => ReloadStatus) | undefined
  readonly overload: Pick<Overload, 'shed' | 'delayMs'>
  /** Where there is one. */
  readonly database: Pick<Database, 'state' | 'pool'> | undefined
  readonly rateLimits: Pick<RateLimits, 'status'>
  readonly documents: DocumentCollector['collected']
  readonly requestCounts: Pick<RequestCounts, 'read' | 'active'>
  /** Where there is memory for one. */
  readonly cache: Pick<ResponseCache, 'counts' | 'status'> | undefined
  /** Undefined where traces are off. */
  readonly tracing: Pick<Tracing, 'counts'> | undefined
}

/** Everything that the gateway counts, part by part. */
export function gatewayMetrics(parts: GatewayMetricsOptions): MetricSource[] {
  return [
    buildMetrics(parts.version),
    ...(parts.config ? [configMetrics(parts.config)] : []),
    logMetrics(parts.log),
    requestMetrics(parts.requestCounts),
    tracingMetrics(parts.tracing?.counts),
    discoveryMetrics(parts.addressBook),
    serviceMetrics(parts),
    overloadMetrics(parts.overload),
    rateMetrics(parts.rateLimits),
    ...(parts.cache ? [cacheMetrics(parts.cache)] : []),
    identityMetrics(parts),
    ...(parts.database ? [databaseMetrics(parts.database)] : []),
    documentMetrics(parts.documents),
  ]
}

function buildMetrics(version: string): MetricSource {
  return (registry) =>
    gauge(registry, {
      name: 'munjigi_build_info',
      help: 'Always 1; the version of munjigi that runs.',
      labels: ['version'],
      ofWorkers: 'first',
      read: () => [[1, { version }]],
    })
}
