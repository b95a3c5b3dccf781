import type { RealDocument } from './openapi-documents.ts'
import type { MergeTimes } from './openapi-merge.ts'
import type { Quiet } from './quiet.ts'
import { table } from './report.ts'
import { median, spread } from './statistics.ts'

interface Asked {
  readonly bytes: number
  readonly headMs: readonly number[]
  readonly wholeMs: readonly number[]
}

export interface OpenapiFindings {
  readonly rounds: number
  readonly seconds: number
  readonly rate: number
  readonly documents: readonly RealDocument[]
  readonly services: readonly { readonly name: string; readonly paths?: number; readonly status: string }[]
  readonly merges: MergeTimes
  readonly readyMs: number
  /** Resident, in MiB: before the first document was there, and the most until all were merged. */
  readonly read: { readonly before: number; readonly peak: number }
  /** Resident, in MiB: with all of them merged, and the most while they were merged over and over. */
  readonly merged: { readonly resting: number; readonly peak: number }
  readonly mergesSeen: number
  readonly operations: number
  readonly paced: Readonly<Record<'still' | 'merging' | 'still50' | 'merging50', readonly number[]>>
  readonly requests: Readonly<Record<'plain' | 'gzip' | 'fresh', Asked>>
  /** Of the merged document; none where it is valid and whole. */
  readonly faults: readonly string[]
  readonly quiet: Pick<Quiet, 'repeated' | 'disturbed'>
  readonly load: string
  readonly machine: readonly string[]
  readonly date: Date
}

/** Everything that was found, as Markdown. */
export function writeOpenapiReport(findings: OpenapiFindings): string {
  const { rounds, seconds, rate, documents, services, merges, requests, paced, read, merged, faults } =
    findings
  const mega = (bytes: number) => (bytes / 1e6).toFixed(1)
  return [
    '# Bench of the merged API document',
    `Written by \`npm run bench:openapi -- ${rounds} ${seconds}\` on ${findings.date.toISOString().slice(0, 16).replace('T', ' ')} UTC. Not edited by hand.`,
    findings.machine
      .map((line) => `- ${line.replace('the relay on core 0', 'the gateway on any')}`)
      .join('\n'),
    'Real documents, as npm packages ship them, each served by a house of its own behind one gateway process.',
    table(
      ['document', 'from', 'MB', 'read and converted, ms', 'public paths'],
      documents.map(({ name, from, bytes }, index) => [
        name,
        from,
        mega(bytes.length),
        merges.readMs[index]!.toFixed(0),
        String(services.find((service) => service.name === name)?.paths ?? 0),
      ]),
    ),
    '## The merged document',
    faults.length === 0
      ? `${mega(merges.bytes)} MB, ${findings.operations} operations: valid by the official JSON Schema of OpenAPI 3.1, every reference leads somewhere, every operation of every document is in it.`
      : `FAULTS: ${faults.slice(0, 10).join('; ')}`,
    '## Merging',
    'In a thread of its own that does nothing else; the targets are 1000 ms and 300 MiB.',
    table(
      ['', 'median', 'range'],
      [
        ['merge, ms', ...ranged(merges.mergeMs)],
        ['CPU time of it, ms', ...ranged(merges.mergeCpuMs)],
        ['gzip of it, ms', ...ranged(merges.gzipMs)],
        [
          'memory of the thread after a merge, above that before, at most, MiB',
          merges.memoryMiB.toFixed(0),
          '',
        ],
      ],
    ),
    `In the gateway: from the houses' first answer until all were in the merged document ${(findings.readyMs / 1000).toFixed(1)} s.`,
    table(
      ['resident, MiB', 'before', 'at most', 'difference'],
      [
        ['until all are fetched, read, converted and merged', ...memory(read.before, read.peak)],
        [`while they are merged ${findings.mergesSeen} times more`, ...memory(merged.resting, merged.peak)],
        ['the same, above the gateway without documents', ...memory(read.before, merged.peak)],
      ],
    ),
    '## A request for the merged document, ms',
    'One after the other over one connection, once it is merged. The target is 5 ms; a body of many megabytes takes as long as it takes to send.',
    table(
      ['', 'MB', 'head, median', 'head, p99', 'whole, median', 'whole, p99'],
      Object.entries(requests).map(([name, { bytes, headMs, wholeMs }]) => [
        name === 'fresh' ? '304' : name,
        mega(bytes),
        ...[headMs, wholeMs].flatMap((times) => [median(times).toFixed(2), p99(times).toFixed(2)]),
      ]),
    ),
    `## Proxied requests at ${rate} a second, ms`,
    `${findings.load === '' ? '' : 'bench/pacer.mjs, 16 connections; '}${rounds} interleaved rounds of ${seconds} s, medians of the rounds with the range. "merging": a route is changed as soon as the last change is merged, ${findings.mergesSeen} merges in all. Disturbed runs: ${findings.quiet.repeated} repeated, ${findings.quiet.disturbed} kept.`,
    table(
      ['', 'p50', 'p99'],
      [
        ['nothing is merged', both(paced.still50), both(paced.still)],
        ['merging', both(paced.merging50), both(paced.merging)],
      ],
    ),
    '',
  ].join('\n\n')
}

function ranged(values: readonly number[]): [string, string] {
  const { median: middle, least, most } = spread(values)
  return [middle.toFixed(0), `${least.toFixed(0)}–${most.toFixed(0)}`]
}

function both(values: readonly number[]): string {
  const { median: middle, least, most } = spread(values)
  return `${middle.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`
}

const memory = (before: number, most: number) => [before, most, most - before].map((mib) => mib.toFixed(0))

const p99 = (values: readonly number[]) =>
  values.toSorted((one, other) => one - other)[Math.max(0, Math.ceil(values.length * 0.99) - 1)]!
