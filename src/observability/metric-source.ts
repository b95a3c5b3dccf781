import { Counter, Gauge, type Registry } from 'prom-client'

/** Registers the metrics of one part; `counter` and `gauge` below do so for what the part counts already. */
export type MetricSource = (registry: Registry) => void

/** One value of a metric, by its labels. */
export type Sample = readonly [value: number, labels?: Readonly<Record<string, string>>]

export interface ScrapedMetric {
  /** By Prometheus' rules: base units, `_total` for what only grows. */
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /**
   * What several workers' values come to; the sum where nothing is said. What each of them knows of the same thing must
   * not be added up.
   */
  readonly ofWorkers?: 'sum' | 'min' | 'max' | 'average' | 'first'
  /** Asked at every scrape and at no other time: what it does not name any more is gone. */
  readonly read: () => Iterable<Sample>
}

/** A number that somebody else counts, and that begins again at 0 with him. */
export function counter(registry: Registry, { read, ...metric }: ScrapedMetric): void {
  new Counter({
    ...described(registry, metric),
    collect() {
      this.reset()
      for (const [value, labels = {}] of read()) this.inc(labels, value)
    },
  })
}

/** A number that goes up and down. */
export function gauge(registry: Registry, { read, ...metric }: ScrapedMetric): void {
  new Gauge({
    ...described(registry, metric),
    collect() {
      this.reset()
      for (const [value, labels = {}] of read()) this.set(labels, value)
    },
  })
}

function described(registry: Registry, metric: Omit<ScrapedMetric, 'read'>) {
  const { name, help, labels = [], ofWorkers = 'sum' } = metric
  return { name, help, labelNames: [...labels], aggregator: ofWorkers, registers: [registry] }
}
