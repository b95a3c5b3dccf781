import type { ReloadStatus } from '../config/reload.ts'
import type { AddressBook } from '../discovery/address-book.ts'
import type { Overload } from '../door/overload.ts'
import { configMetrics } from './config-metrics.ts'
import { discoveryMetrics } from './discovery-metrics.ts'
import { gauge, type MetricSource } from './metric-source.ts'
import { overloadMetrics } from './overload-metrics.ts'
import { type ServiceMetricsOptions, serviceMetrics } from './service-metrics.ts'

export interface GatewayMetricsOptions extends ServiceMetricsOptions {
  readonly version: string
  readonly addressBook: Pick<AddressBook, 'current' | 'sources' | 'problems' | 'provenance'>
  /** Where gateway.yaml is followed. */
  readonly config: (() => ReloadStatus) | undefined
  readonly overload: Pick<Overload, 'shed' | 'delayMs'>
}

/** Everything that the gateway counts, part by part. */
export function gatewayMetrics(parts: GatewayMetricsOptions): MetricSource[] {
  return [
    buildMetrics(parts.version),
    ...(parts.config ? [configMetrics(parts.config)] : []),
    discoveryMetrics(parts.addressBook),
    serviceMetrics(parts),
    overloadMetrics(parts.overload),
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
