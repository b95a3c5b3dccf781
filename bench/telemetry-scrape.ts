import { performance } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { addUpMetrics, createMetrics } from '../src/observability/metrics.ts'
import { createRequestCounts } from '../src/observability/request-counts.ts'
import { requestMetrics } from '../src/observability/request-metrics.ts'
import { spread } from './statistics.ts'

/** What counting costs a request, and what a scrape of many services costs everybody. */
export interface ScrapeCost {
  /** Nanoseconds of one `begin` and `count`: of one route, and of a thousand in turn. */
  readonly countNs: { readonly one: number; readonly thousand: number }
  readonly services: number
  readonly megabytes: number
  /** Milliseconds: of CPU, and how long the event loop was held at a time. */
  readonly cpuMs: number
  readonly longestHoldMs: number
}

const services = 1000
const methods = ['GET', 'GET', 'POST', 'DELETE']
const statuses = [200, 200, 201, 404, 502]

/** Of this process: the requests' part of the metrics alone, with every service asked in some ten ways. */
export async function measureScrape(): Promise<ScrapeCost> {
  const routes = Array.from({ length: services }, (_, i) => ({
    prefix: `/api/service-${i}`,
    service: `service-${i}`,
  }))
  const counts = createRequestCounts()
  counts.retain(routes)
  const times = 2_000_000
  function count(of: number): number {
    const startedAt = performance.now()
    for (let i = 0; i < times; i += 1) {
      const { prefix, service } = routes[i % of]!
      counts.begin()
      counts.count(prefix, service, methods[(i * 7) % 4]!, statuses[(i * 11) % 5]!, (i % 100) / 50)
    }
    return ((performance.now() - startedAt) * 1e6) / times
  }
  const counted = { one: [] as number[], thousand: [] as number[] }
  for (let round = 0; round < 4; round += 1) {
    counted.thousand.push(count(services))
    counted.one.push(count(1))
  }
  const metrics = createMetrics([requestMetrics(counts)])
  const scrapes = []
  for (let round = 0; round < 12; round += 1) scrapes.push(await scrapeOnce(metrics))
  // The first ones are compiled while they run.
  const warm = scrapes.slice(4)
  return {
    countNs: { one: spread(counted.one).median, thousand: spread(counted.thousand).median },
    services,
    megabytes: warm[0]!.bytes / 1e6,
    cpuMs: spread(warm.map(({ cpuMs }) => cpuMs)).median,
    longestHoldMs: spread(warm.map(({ holdMs }) => holdMs)).median,
  }
}

async function scrapeOnce(metrics: ReturnType<typeof createMetrics>) {
  let isOver = false
  let holdMs = 0
  const watching = (async () => {
    for (let last = performance.now(); !isOver; ) {
      await turn()
      const now = performance.now()
      holdMs = Math.max(holdMs, now - last)
      last = now
    }
  })()
  const before = process.cpuUsage()
  const { text } = await addUpMetrics([await metrics.snapshot()])
  const { user, system } = process.cpuUsage(before)
  isOver = true
  await watching
  return { bytes: Buffer.byteLength(text), cpuMs: (user + system) / 1000, holdMs }
}
