import type { DocumentCollector } from '../openapi/collect.ts'
import { gauge, type MetricSource } from './metric-source.ts'

const statuses = ['ok', 'stale', 'unavailable', 'unsupported', 'invalid', 'none', 'waiting'] as const

/**
 * Whether the services' API documents could be had.
 *
 * @param now milliseconds since the epoch
 */
export function documentMetrics(
  collected: DocumentCollector['collected'],
  now: () => number = Date.now,
): MetricSource {
  return (registry) => {
    gauge(registry, {
      name: 'munjigi_api_documents',
      help: 'Services by what became of their API documents.',
      labels: ['status'],
      // Each of them asks every service.
      ofWorkers: 'max',
      *read() {
        const all = [...collected().values()]
        for (const status of statuses) yield [all.filter((one) => one.status === status).length, { status }]
      },
    })
    gauge(registry, {
      name: 'munjigi_api_documents_oldest_age_seconds',
      help: 'Time since the service whose document is oldest gave it or said that it is the same.',
      ofWorkers: 'max',
      *read() {
        const times = [...collected().values()].flatMap(({ fetchedAt }) => fetchedAt ?? [])
        if (times.length > 0) yield [Math.max(0, now() - Math.min(...times)) / 1000]
      },
    })
  }
}
