import type { GatewayLog } from './log.ts'
import { counter, type MetricSource } from './metric-source.ts'

/** Whether every line found a reader. */
export function logMetrics({ droppedBytes }: Pick<GatewayLog, 'droppedBytes'>): MetricSource {
  return (registry) =>
    counter(registry, {
      name: 'munjigi_log_dropped_bytes_total',
      help: 'Bytes of log lines that were given up, because whoever reads standard output had stopped.',
      read: () => [[droppedBytes()]],
    })
}
