import type { TracingConfig } from './config.ts'
import type { Fault } from './fault.ts'
import type { SettingValues } from './settings.ts'

/** Where the collector of a machine is, by OpenTelemetry's word. */
const localEndpoint = 'http://localhost:4318'

/** Whether traces are told, to whom and how. Faults are added to `faults`. */
export function readTracing(values: Partial<SettingValues>, faults: Fault[]): TracingConfig | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own } = values
  const { OTEL_TRACES_EXPORTER: exporter = (endpoint ?? own) ? 'otlp' : 'none' } = values
  if (values.OTEL_SDK_DISABLED || exporter === 'none') return undefined
  const { OTEL_BSP_MAX_QUEUE_SIZE: queueSize, OTEL_BSP_MAX_EXPORT_BATCH_SIZE: batchSize } = values
  if (batchSize !== undefined && queueSize !== undefined && batchSize > queueSize) {
    faults.push({
      place: { variable: 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE' },
      found: `${batchSize}, with OTEL_BSP_MAX_QUEUE_SIZE ${queueSize}`,
      expected: 'not more than may wait',
    })
  }
  const resource = values.OTEL_RESOURCE_ATTRIBUTES ?? {}
  // Absent only where they are faulty; the start ends before anybody reads them.
  const complete = values as SettingValues
  return {
    url: own ?? `${(endpoint ?? localEndpoint).replace(/\/+$/, '')}/v1/traces`,
    headers: { ...values.OTEL_EXPORTER_OTLP_HEADERS, ...values.OTEL_EXPORTER_OTLP_TRACES_HEADERS },
    timeoutMs: values.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT ?? complete.OTEL_EXPORTER_OTLP_TIMEOUT,
    compression: values.OTEL_EXPORTER_OTLP_TRACES_COMPRESSION ?? complete.OTEL_EXPORTER_OTLP_COMPRESSION,
    serviceName: values.OTEL_SERVICE_NAME ?? resource['service.name'] ?? 'munjigi',
    resource,
    sampler: { name: complete.OTEL_TRACES_SAMPLER, ratio: complete.OTEL_TRACES_SAMPLER_ARG },
    batch: {
      delayMs: complete.OTEL_BSP_SCHEDULE_DELAY,
      timeoutMs: complete.OTEL_BSP_EXPORT_TIMEOUT,
      queueSize: complete.OTEL_BSP_MAX_QUEUE_SIZE,
      batchSize: complete.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    },
  }
}
