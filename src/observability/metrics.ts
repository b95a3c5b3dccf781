import { AggregatorRegistry, collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import { type Breather, createBreather } from '../slices.ts'
import { inParts, type MetricSnapshot, type ScrapedObject } from './metric-parts.ts'
import type { MetricSource } from './metric-source.ts'

/** The metrics of one process at one moment, as they go from one to another. */
export type MetricsSnapshot = readonly MetricSnapshot[]

export interface Metrics {
  /** Asks every part, one metric after the other: of many services each takes a while. */
  snapshot(): Promise<MetricsSnapshot>
}

/** A scrape's reply. */
export interface Scrape {
  readonly contentType: string
  readonly text: string
}

/** prom-client leaves it out of what several processes come to. */
const ofTheFirst = new Set(['process_start_time_seconds'])

/**
 * What this process has to tell Prometheus: of itself, and of the gateway's parts, which are asked when somebody
 * scrapes and at no other time.
 *
 * @param sources what each part has to tell: one more is one more line where the gateway is put together
 * @param breather made for each snapshot
 */
export function createMetrics(
  sources: readonly MetricSource[],
  breather: () => Breather = createBreather,
): Metrics {
  // Apart: what watches the process's garbage collection is never let go of, and must not hold the gateway.
  const ofProcess = new Registry()
  collectDefaultMetrics({ register: ofProcess })
  const ofParts = new Registry()
  for (const register of sources) register(ofParts)

  return {
    async snapshot() {
      const breathe = breather()
      const metrics: MetricSnapshot[] = []
      for (const { name } of ofParts.getMetricsAsArray()) {
        metrics.push(await ofParts.getSingleMetric(name)!.get())
        await breathe()
      }
      metrics.push(...(await ofProcess.getMetricsAsJSON()))
      return metrics.map((metric) =>
        ofTheFirst.has(metric.name) ? { ...metric, aggregator: 'min' as const } : metric,
      )
    },
  }
}

/** The snapshots of all processes as one, in Prometheus' text format 0.0.4. */
export async function addUpMetrics(
  snapshots: readonly MetricsSnapshot[],
  breathe: Breather = createBreather(),
): Promise<Scrape> {
  const texts: string[] = []
  for (const metrics of Map.groupBy(snapshots.flat(), ({ name }) => name).values()) {
    let text = ''
    for (const part of inParts(metrics)) {
      const registry = part.length === 1 ? registryOf(part[0]!) : addedUp(part)
      const lines = await registry.metrics()
      text += text === '' ? lines : withoutHead(lines)
      await breathe()
    }
    texts.push(text)
  }
  return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, text: texts.join('\n') }
}

const addedUp = (metrics: readonly ScrapedObject[]) =>
  AggregatorRegistry.aggregate(metrics.map((metric) => [metric]))

/** Of one process there is nothing to be added up, which is half of the work. */
function registryOf(metric: ScrapedObject): Registry {
  const registry = new Registry()
  registry.registerMetric({ ...metric, get: async () => metric } as unknown as Metric<string>)
  return registry
}

/** Of a further part of a metric, whose help and type are said already. */
const withoutHead = (lines: string) => lines.replace(/^(?:# .*\n)+/, '')
