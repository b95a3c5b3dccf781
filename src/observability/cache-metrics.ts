import type { ResponseCache } from '../cache/cache.ts'
import { counter, gauge, type MetricSource, type Sample } from './metric-source.ts'

/** What the response cache did for each service that has one, and what it holds. */
export function cacheMetrics({ counts, status }: Pick<ResponseCache, 'counts' | 'status'>): MetricSource {
  function* results(): Iterable<Sample> {
    for (const [service, { results }] of counts()) {
      for (const [result, count] of Object.entries(results)) yield [count, { service, result }]
    }
  }

  function* stored(): Iterable<Sample> {
    for (const [service, { stored }] of counts()) yield [stored, { service }]
  }

  return (registry) => {
    counter(registry, {
      name: 'munjigi_cache_requests_total',
      help: 'Requests on routes with a cache, by how they were answered.',
      labels: ['service', 'result'],
      read: results,
    })
    counter(registry, {
      name: 'munjigi_cache_stores_total',
      help: 'Replies of the service that were stored, or renewed by a 304.',
      labels: ['service'],
      read: stored,
    })
    gauge(registry, {
      name: 'munjigi_cache_entries',
      help: 'Stored replies.',
      read: () => [[status().entries]],
    })
    gauge(registry, {
      name: 'munjigi_cache_bytes',
      help: 'Memory that stored replies and those on their way into the store take.',
      read: () => [[status().bytes]],
    })
    counter(registry, {
      name: 'munjigi_cache_evictions_total',
      help: 'Stored replies that had to make room for others.',
      read: () => [[status().evictions]],
    })
  }
}
