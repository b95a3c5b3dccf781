import type { AddressBook } from '../discovery/address-book.ts'
import type { GroupStatus, OutlierDetection } from '../proxy/outlier.ts'
import type { ProxyRoutes } from '../proxy/routes.ts'
import type { ServiceCounts } from '../proxy/service-states.ts'
import { counter, gauge, type MetricSource, type Sample } from './metric-source.ts'

export interface ServiceMetricsOptions {
  readonly addressBook: Pick<AddressBook, 'provenance'>
  readonly outliers: Pick<OutlierDetection, 'status'>
  readonly routes: Pick<ProxyRoutes, 'counts'>
}

/** How each service of the table is doing; one that leaves the table leaves the metrics. */
export function serviceMetrics({ addressBook, outliers, routes }: ServiceMetricsOptions): MetricSource {
  const groups = () => outliers.status()

  function* counts(): Iterable<readonly [service: string, ServiceCounts]> {
    for (const { group } of groups()) {
      const counted = routes.counts(group.service)
      if (counted !== undefined) yield [group.service, counted]
    }
  }

  function* instances({ group }: GroupStatus): Iterable<Sample> {
    const { service, all, usable } = group
    const isHeld = (addressBook.provenance(service)?.state ?? 'named') !== 'named'
    const states = {
      usable: isHeld ? 0 : usable.length,
      held: isHeld ? usable.length : 0,
      ejected: all.length - usable.length,
    }
    for (const [state, count] of Object.entries(states)) yield [count, { service, state }]
  }

  function* refusals(): Iterable<Sample> {
    for (const [service, { queue }] of counts()) {
      if (queue === undefined) continue
      yield [queue.full, { service, reason: 'full' }]
      yield [queue.timedOut, { service, reason: 'timeout' }]
    }
  }

  function* some(read: (counts: ServiceCounts) => number | undefined): Iterable<Sample> {
    for (const [service, counted] of counts()) {
      const value = read(counted)
      if (value !== undefined) yield [value, { service }]
    }
  }

  return (registry) => {
    const labels = ['service']
    gauge(registry, {
      name: 'munjigi_service_instances',
      help: 'Instances of the service: usable, held (used, though no source names them any more) or ejected.',
      labels: ['service', 'state'],
      // They know the same instances, and eject each for himself.
      ofWorkers: 'average',
      *read() {
        for (const status of groups()) yield* instances(status)
      },
    })
    gauge(registry, {
      name: 'munjigi_panic',
      help: '1 while so many instances are ejected that all are used.',
      labels,
      ofWorkers: 'max',
      read: () => groups().map(({ group, panic }) => [panic ? 1 : 0, { service: group.service }] as const),
    })
    counter(registry, {
      name: 'munjigi_ejections_total',
      help: 'How often an instance of the service was ejected.',
      labels,
      read: () => groups().map(({ group, ejections }) => [ejections, { service: group.service }] as const),
    })
    gauge(registry, {
      name: 'munjigi_requests_in_flight',
      help: 'Requests that instances of the service have now, open WebSockets and mirrored copies among them.',
      labels,
      read: () =>
        groups().map(({ group: { service, all } }) => {
          const inFlight = all.reduce((sum, upstream) => sum + upstream.inFlight, 0)
          return [inFlight, { service }] as const
        }),
    })
    counter(registry, {
      name: 'munjigi_retries_total',
      help: 'Attempts beyond the first of a request, at this service.',
      labels,
      read: () => some(({ retries }) => retries.made),
    })
    counter(registry, {
      name: 'munjigi_retries_refused_total',
      help: 'Retries that were not made because the retry budget was spent.',
      labels,
      read: () => some(({ retries }) => retries.refused),
    })
    counter(registry, {
      name: 'munjigi_upstream_errors_total',
      help: 'Attempts that the service did not answer, or not to the end, by why.',
      labels: ['service', 'code'],
      *read() {
        for (const [service, { errors }] of counts()) {
          for (const [code, count] of errors) yield [count, { service, code }]
        }
      },
    })
    gauge(registry, {
      name: 'http_client_open_connections',
      help: 'Connections to instances of the service, those that are being made left out.',
      labels: ['service', 'http_connection_state'],
      *read() {
        for (const { group } of groups()) {
          const all = group.all.map(({ pool }) => pool.counts())
          const [active, idle] = [sum(all, 'active'), sum(all, 'idle')]
          yield [active, { service: group.service, http_connection_state: 'active' }]
          yield [idle, { service: group.service, http_connection_state: 'idle' }]
        }
      },
    })
    gauge(registry, {
      name: 'munjigi_queued_requests',
      help: 'Requests that wait for an instance with room.',
      labels,
      read: () => some(({ queue }) => queue?.waiting),
    })
    counter(registry, {
      name: 'munjigi_queue_refusals_total',
      help: 'Requests that found the queue full, or waited for too long.',
      labels: ['service', 'reason'],
      read: refusals,
    })
    counter(registry, {
      name: 'munjigi_mirror_dropped_total',
      help: 'Copies of the requests of the service that were due and not sent.',
      labels,
      read: () => some(({ mirrorsDropped }) => mirrorsDropped),
    })
  }
}

function sum<K extends string>(all: readonly Readonly<Record<K, number>>[], key: K): number {
  return all.reduce((total, one) => total + one[key], 0)
}
