import type { ReloadStatus } from '../config/reload.ts'
import { counter, gauge, type MetricSource } from './metric-source.ts'

/** Whether the running configuration is what gateway.yaml says. */
export function configMetrics(status: () => ReloadStatus): MetricSource {
  return (registry) => {
    gauge(registry, {
      name: 'munjigi_config_last_reload_successful',
      help: '1 while what gateway.yaml says is in force, 0 while it cannot be used.',
      ofWorkers: 'min',
      read: () => [[status().state === 'current' ? 1 : 0]],
    })
    gauge(registry, {
      name: 'munjigi_config_last_reload_success_timestamp_seconds',
      help: 'When what is in force was taken over from gateway.yaml.',
      ofWorkers: 'min',
      read: () => [[status().loadedAt / 1000]],
    })
    counter(registry, {
      name: 'munjigi_config_reloads_total',
      help: 'How often gateway.yaml was read while running, by what came of it.',
      labels: ['result'],
      // Each of them reads the one file.
      ofWorkers: 'max',
      read: () => Object.entries(status().reloads).map(([result, count]) => [count, { result }] as const),
    })
  }
}
