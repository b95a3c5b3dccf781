import { request } from './request.ts'

/** What a scrape of `/metrics` said. */
export interface Scraped {
  /** Name → type, of every metric, whether it has values or none. */
  readonly types: ReadonlyMap<string, string>
  /** Name → the names of its labels, in order, of those that have values. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** As it was printed, such as `munjigi_panic{service="house"}`; undefined where there is no such line. */
  value(series: string): number | undefined
  readonly text: string
}

/** Scrapes a gateway, as Prometheus would. */
export async function scrape(url: string): Promise<Scraped> {
  const { status, body: text } = await request(`${url}/metrics`)
  if (status !== 200) throw new Error(`/metrics: ${status}: ${text}`)
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
  const values = new Map(
    [...text.matchAll(/^([^#\s].*) (\S+)$/gm)].map(([, series, value]) => [series!, value!]),
  )
  const labels = new Map(
    [...values.keys()].map((series) => [
      series.replace(/\{.*/, ''),
      [...series.matchAll(/[{,](\w+)="/g)].map(([, name]) => name!),
    ]),
  )
  return {
    types,
    labels,
    value(series) {
      const value = values.get(series)
      return value === undefined ? undefined : Number(value)
    },
    text,
  }
}
