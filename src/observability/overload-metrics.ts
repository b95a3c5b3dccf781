import type { Overload } from '../door/overload.ts'
import { counter, gauge, type MetricSource } from './metric-source.ts'

/** Whether the event loop keeps up, and what was turned away because it did not. */
export function overloadMetrics({ shed, delayMs }: Pick<Overload, 'shed' | 'delayMs'>): MetricSource {
  return (registry) => {
    counter(registry, {
      name: 'munjigi_requests_shed_total',
      help: 'Requests that were turned away because the event loop was late.',
      read: () => [[shed()]],
    })
    gauge(registry, {
      name: 'munjigi_event_loop_delay_seconds',
      help: 'By how much the event loop is late: the median of the last half second.',
      ofWorkers: 'max',
      read: () => [[delayMs() / 1000]],
    })
  }
}
