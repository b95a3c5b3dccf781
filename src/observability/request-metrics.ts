import { counter, gauge, histogram, type MetricSource, type Sample } from './metric-source.ts'
import { durationBounds, type RequestCounts, type RouteCount } from './request-counts.ts'

/**
 * Requests by OpenTelemetry's names ("Semantic conventions for HTTP metrics"). Method and status are labels of the
 * counter alone: a histogram for each of them would be 17 series for each method and status of each route.
 */
export function requestMetrics({ read, active }: Pick<RequestCounts, 'read' | 'active'>): MetricSource {
  const labelsOf = ({ route, service }: RouteCount) => ({ http_route: route, service: service ?? '' })

  function* requests(): Iterable<Sample> {
    for (const counted of read()) {
      const labels = labelsOf(counted)
      for (const { method, status, count } of counted.requests) {
        const what = { http_request_method: method, http_response_status_code: String(status) }
        yield [count, { ...what, ...labels }]
      }
    }
  }

  return (registry) => {
    counter(registry, {
      name: 'http_server_requests_total',
      help: 'Requests that are over.',
      labels: ['http_request_method', 'http_response_status_code', 'http_route', 'service'],
      read: requests,
    })
    histogram(registry, {
      name: 'http_server_request_duration_seconds',
      help: 'How long requests took, from their head to the end of the reply; WebSockets left out.',
      labels: ['http_route', 'service'],
      bounds: durationBounds,
      *read() {
        for (const counted of read())
          if (counted.durations.count > 0) yield [counted.durations, labelsOf(counted)]
      },
    })
    gauge(registry, {
      name: 'http_server_active_requests',
      help: 'Requests that have begun and are not over, open WebSockets among them.',
      read: () => [[active()]],
    })
  }
}
