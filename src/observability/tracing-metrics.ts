import { counter, type MetricSource } from './metric-source.ts'
import type { SpanCounts } from './tracing.ts'

const none: SpanCounts = { exported: 0, failed: 0, dropped: 0 }

/** Whether traces come through; of a gateway without them that there were none. */
export function tracingMetrics(counts: Readonly<SpanCounts> = none): MetricSource {
  return (registry) =>
    counter(registry, {
      name: 'munjigi_spans_total',
      help: 'Spans that were sent to the collector, could not be (failed), or found the queue full (dropped).',
      labels: ['outcome'],
      read: () => [
        [counts.exported, { outcome: 'exported' }],
        [counts.failed, { outcome: 'failed' }],
        [counts.dropped, { outcome: 'dropped' }],
      ],
    })
}
