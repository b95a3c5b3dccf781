import { createLive } from '../../src/dashboard/live.ts'
import type { ProcessStatus } from '../../src/dashboard/process-status.ts'
import { calmTest as test } from '../support/calm.ts'
import { until } from '../support/until.ts'

const traffic = { newest: 0, services: {} }
const status = {
  routes: { table: { routes: 0 }, routes: [], problems: [] },
  ...{ traffic, startedAt: 0, delayMs: 0, shed: 0, active: 0 },
} as unknown as ProcessStatus

test('what it takes to ask this process counts among what messages may take', async (t) => {
  const sentAt: number[] = []
  let askedAt = 0
  const live = createLive({
    streams: {
      open: () => true,
      count: () => 1,
      needAll: () => false,
      send: () => void sentAt.push(performance.now()),
      review: async () => {},
      endAll() {},
    },
    async gatherStatus() {
      askedAt = performance.now()
      while (performance.now() - askedAt < 100);
      return [status]
    },
    gatherTraffic: async () => [traffic],
    asked: {
      version: '1',
      state: () => 'ready',
      addressBook: { sources: () => [], provenance: () => undefined },
      tokens: { database: undefined, signing: undefined, keys: undefined },
      documents: () => new Map(),
    },
    log: { debug() {}, info() {}, warn() {}, error: (fields) => t.fail(JSON.stringify(fields)) },
  })
  t.teardown(live.stop)
  live.soon()
  await until(() => sentAt.length === 2, 'two messages')
  // 100 ms are 5 % of 2000.
  t.true(sentAt[1]! - sentAt[0]! > 1900, `${sentAt[1]! - sentAt[0]!} ms`)
})
