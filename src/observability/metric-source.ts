import type { Metric, MetricValue, Registry } from 'prom-client'
import { createBreather } from '../slices.ts'
import type { MetricSnapshot } from './metric-parts.ts'

/** Registers the metrics of one part; the functions below do so for what the part counts already. */
export type MetricSource = (registry: Registry) => void

type Labels = Readonly<Record<string, string>>

/** One value of a metric, by its labels. */
export type Sample = readonly [value: number, labels?: Labels]

/** One histogram of a metric, by its labels. */
export type HistogramSample = readonly [
  value: {
    /** How many were no greater than each of the bounds, but greater than the one before; the last one greater. */
    readonly buckets: readonly number[]
    readonly sum: number
    readonly count: number
  },
  labels?: Labels,
]

interface Described {
  /** By Prometheus' rules: base units, `_total` for what only grows. */
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /**
   * What several workers' values come to; the sum where nothing is said. What each of them knows of the same thing must
   * not be added up.
   */
  readonly ofWorkers?: 'sum' | 'min' | 'max' | 'average' | 'first'
}

export interface ScrapedMetric extends Described {
  /** Asked at every scrape and at no other time: what it does not name any more is gone. */
  readonly read: () => Iterable<Sample>
}

export interface ScrapedHistogram extends Omit<Described, 'ofWorkers'> {
  /** Upper bounds of the buckets, ascending, without the infinite one. */
  readonly bounds: readonly number[]
  /** As of `ScrapedMetric`. Each worker's buckets are added to the others'. */
  readonly read: () => Iterable<HistogramSample>
}

/** A number that somebody else counts, and that begins again at 0 with him. */
export function counter(registry: Registry, metric: ScrapedMetric): void {
  register(registry, 'counter', metric, () => allOf(metric.read()))
}

/** A number that goes up and down. */
export function gauge(registry: Registry, metric: ScrapedMetric): void {
  register(registry, 'gauge', metric, () => allOf(metric.read()))
}

/** Numbers that somebody else sorts into buckets. A snapshot has them as they are (metric-parts.ts). */
export function histogram(registry: Registry, metric: ScrapedHistogram): void {
  const { bounds, read } = metric
  register(registry, 'histogram', metric, async () => ({
    values: [],
    histograms: { bounds, samples: [...read()] },
  }))
}

/** One value after the other: of many services there are thousands. */
async function allOf(samples: Iterable<Sample>) {
  const breathe = createBreather()
  const values: MetricValue<string>[] = []
  for (const [value, labels = {}] of samples) {
    values.push({ value, labels })
    if (values.length % 256 === 0) await breathe()
  }
  return { values }
}

/**
 * What prom-client asks a metric for. Its own kinds look each value up by its labels as it is set, which of 1 000
 * services costs more than all the rest of a scrape, and a histogram of theirs cannot be set at all.
 */
function register(
  registry: Registry,
  type: 'counter' | 'gauge' | 'histogram',
  { name, help, labels = [], ofWorkers = 'sum' }: Described,
  read: () => Promise<Pick<MetricSnapshot, 'values' | 'histograms'>>,
): void {
  const described = { name, help, type, aggregator: ofWorkers }
  const metric = {
    ...described,
    labelNames: [...labels],
    get: async () => ({ ...described, ...(await read()) }),
  }
  registry.registerMetric(metric as unknown as Metric<string>)
}
