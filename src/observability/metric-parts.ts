import type { MetricObjectWithValues, MetricValue } from 'prom-client'
import type { HistogramSample } from './metric-source.ts'

/** A metric with its values as prom-client adds up and writes them. */
export type ScrapedObject = Pick<
  MetricObjectWithValues<MetricValue<string>>,
  'name' | 'help' | 'type' | 'aggregator' | 'values'
>

/** The same at one moment, as it goes from one process to another. */
export interface MetricSnapshot extends ScrapedObject {
  /** Of each of them come as many values as it has buckets, and two: they are made where they are written. */
  readonly histograms?: { readonly bounds: readonly number[]; readonly samples: readonly HistogramSample[] }
}

/** About as many values are added up and written at a time: a few milliseconds of work. */
const mostValues = 1000

/**
 * One metric of several processes, cut into parts that can be added up one after the other: the same labels are in the
 * same part of each.
 */
export function* inParts(metrics: readonly MetricSnapshot[]): Iterable<readonly ScrapedObject[]> {
  const most = Math.max(...metrics.map(sizeOf))
  if (most <= mostValues) {
    yield metrics.map(({ histograms, ...metric }) => whole(metric, metric.values, histograms))
    return
  }
  const count = Math.ceil(most / mostValues)
  const partOf = createPartOf(count)
  const cut = metrics.map(({ values, histograms, ...metric }) => ({
    metric,
    values: split(values, count, ({ labels }) => partOf(labels)),
    samples: split(histograms?.samples ?? [], count, ([, labels = {}]) => partOf(labels)),
    bounds: histograms?.bounds ?? [],
  }))
  for (let part = 0; part < count; part += 1) {
    yield cut.map(({ metric, values, samples, bounds }) =>
      whole(metric, values[part]!, { bounds, samples: samples[part]! }),
    )
  }
}

const sizeOf = ({ values, histograms }: MetricSnapshot) =>
  values.length + (histograms === undefined ? 0 : histograms.samples.length * (histograms.bounds.length + 3))

/** By service, and by route where there is none: what they have in common stays together. */
function createPartOf(count: number): (labels: Labels) => number {
  const known = new Map<unknown, number>()
  return ({ service, http_route: route }) => {
    const key = service || route
    const part = known.get(key) ?? known.size % count
    known.set(key, part)
    return part
  }
}

type Labels = Readonly<Record<string, string | number | undefined>>

function split<T>(items: readonly T[], count: number, partOf: (item: T) => number): readonly T[][] {
  const parts: T[][] = Array.from({ length: count }, () => [])
  for (const item of items) parts[partOf(item)]!.push(item)
  return parts
}

function whole(
  metric: Omit<ScrapedObject, 'values'>,
  values: readonly MetricValue<string>[],
  histograms: MetricSnapshot['histograms'],
): ScrapedObject {
  if (histograms === undefined || histograms.samples.length === 0) return { ...metric, values: [...values] }
  return { ...metric, values: [...values, ...linesOf(metric.name, histograms)] }
}

/** Each bucket's line counts those of the lower ones as well. */
function* linesOf(
  name: string,
  { bounds, samples }: NonNullable<MetricSnapshot['histograms']>,
): Iterable<MetricValue<string>> {
  const [bucketName, sumName, countName] = [`${name}_bucket`, `${name}_sum`, `${name}_count`]
  const le = [...bounds.map(String), '+Inf']
  for (const [{ buckets, sum, count }, labels = {}] of samples) {
    let upTo = 0
    for (const [index, bound] of le.entries()) {
      upTo += buckets[index] ?? 0
      yield named(bucketName, upTo, { ...labels, le: bound })
    }
    yield named(sumName, sum, labels)
    yield named(countName, count, labels)
  }
}

/** prom-client's types do not know the name that a value of a histogram has. */
const named = (metricName: string, value: number, labels: Labels): MetricValue<string> =>
  ({ metricName, value, labels }) as MetricValue<string>
