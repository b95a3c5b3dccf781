import type { Database } from '../persistence/database.ts'
import { gauge, type MetricSource } from './metric-source.ts'

/** Whether the database answers, and whether its connections are enough. */
export function databaseMetrics({ state, pool }: Pick<Database, 'state' | 'pool'>): MetricSource {
  return (registry) => {
    gauge(registry, {
      name: 'munjigi_database_up',
      help: '1 while the database answers, 0 while it has not answered yet or fails.',
      ofWorkers: 'min',
      read: () => [[state() === 'live' ? 1 : 0]],
    })
    if (pool === undefined) return
    gauge(registry, {
      name: 'munjigi_database_connections',
      help: 'Connections of the pool: used or idle.',
      labels: ['state'],
      *read() {
        const { used, idle } = pool()
        yield [used, { state: 'used' }]
        yield [idle, { state: 'idle' }]
      },
    })
    gauge(registry, {
      name: 'munjigi_database_connections_max',
      help: 'How many connections the pool may have.',
      read: () => [[pool().most]],
    })
    gauge(registry, {
      name: 'munjigi_database_waiting',
      help: 'What waits for a connection of the pool.',
      read: () => [[pool().waiting]],
    })
  }
}
