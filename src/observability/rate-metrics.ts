import type { RateLimits } from '../rate/rate-limits.ts'
import { counter, gauge, type MetricSource } from './metric-source.ts'

/** What routes with a rate limit let through and refuse, and whether replicas know of one another's. */
export function rateMetrics({ status }: Pick<RateLimits, 'status'>): MetricSource {
  return (registry) => {
    counter(registry, {
      name: 'munjigi_rate_limit_requests_total',
      help: 'Requests of routes with a rate limit, by what became of them: allowed, limited.',
      labels: ['route', 'outcome'],
      read: () =>
        [...status().outcomes].flatMap(([route, { allowed, limited }]) => [
          [allowed, { route, outcome: 'allowed' }],
          [limited, { route, outcome: 'limited' }],
        ]),
    })
    gauge(registry, {
      name: 'munjigi_rate_limit_keys',
      help: 'Users and addresses whose requests are counted.',
      read: () => [[status().keys]],
    })
    gauge(registry, {
      name: 'munjigi_rate_limit_sharing_lag_seconds',
      help: 'How long the oldest count has waited to be told to the other replicas; only with PostgreSQL.',
      ofWorkers: 'max',
      read: () => {
        const { lagMs } = status()
        return lagMs === undefined ? [] : [[lagMs / 1000]]
      },
    })
  }
}
