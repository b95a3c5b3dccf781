import type { AddressBook } from '../discovery/address-book.ts'
import { counter, gauge, type MetricSource } from './metric-source.ts'

/**
 * How the address book's sources are doing, and what it could not make sense of.
 *
 * @param now milliseconds since the epoch
 */
export function discoveryMetrics(
  addressBook: Pick<AddressBook, 'current' | 'sources' | 'problems'>,
  now: () => number = Date.now,
): MetricSource {
  return (registry) => {
    gauge(registry, {
      name: 'munjigi_discovery_source_up',
      help: '1 while the source answers, 0 while it has not spoken yet or fails.',
      labels: ['source'],
      ofWorkers: 'min',
      read: () =>
        addressBook.sources().map(({ source, state }) => [state === 'live' ? 1 : 0, { source }] as const),
    })
    gauge(registry, {
      name: 'munjigi_discovery_source_age_seconds',
      help: 'Time since the last word of the source, changed or not.',
      labels: ['source'],
      ofWorkers: 'max',
      *read() {
        for (const { source, lastHeardAt, isFixed } of addressBook.sources()) {
          if (lastHeardAt === undefined || isFixed) continue
          yield [Math.max(0, now() - lastHeardAt) / 1000, { source }]
        }
      },
    })
    counter(registry, {
      name: 'munjigi_discovery_changes_total',
      help: 'How often the source has said something new.',
      labels: ['source'],
      // They all hear the same.
      ofWorkers: 'max',
      read: () => addressBook.sources().map(({ source, changes }) => [changes, { source }] as const),
    })
    gauge(registry, {
      name: 'munjigi_address_book_problems',
      help: 'What services and operator disagree upon now: two that claim one path, instances that contradict each other.',
      ofWorkers: 'max',
      read: () => [[addressBook.problems().length]],
    })
    gauge(registry, {
      name: 'munjigi_address_book_routes',
      help: 'Path prefixes that lead to a service.',
      ofWorkers: 'max',
      read: () => [[addressBook.current().routes.length]],
    })
  }
}
