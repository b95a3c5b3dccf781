import type { Quiet } from './quiet.ts'
import { table } from './report.ts'
import { spread } from './statistics.ts'
import type { Contender } from './telemetry.ts'
import type { ScrapeCost } from './telemetry-scrape.ts'

export interface TelemetryFindings {
  readonly rounds: number
  readonly seconds: number
  readonly scenario: string
  readonly quiet: Pick<Quiet, 'repeated' | 'disturbed'>
  /** The first is the one that the others are compared with. */
  readonly contenders: readonly (Contender & { readonly ratio: readonly number[] })[]
  readonly scrape: ScrapeCost
  readonly load: string
  readonly machine: readonly string[]
  readonly date: Date
}

/** Everything that was found, as Markdown. */
export function writeTelemetryReport(findings: TelemetryFindings): string {
  const { rounds, seconds, scenario, quiet, contenders, scrape, load, machine, date } = findings
  return [
    '# Bench of metrics, access log and traces',
    `Written by \`npm run bench:telemetry -- ${rounds} ${seconds}\` on ${date.toISOString().slice(0, 16).replace('T', ' ')} UTC. Not edited by hand.`,
    machine.map((line) => `- ${line}`).join('\n'),
    'The same gateway several times. In the first, the module that measures each request, counts it and writes its access ' +
      'line (src/door/access-log.ts) is replaced by one that does nothing, as it is loaded (bench/telemetry-off.ts): there is no ' +
      'switch for it. The others write access lines as JSON into a file and are scraped once in each run, which is ' +
      `${(15 / seconds).toFixed(1)} times as often as every 15 s. Traces go to a collector that throws them away. Load: ${load}, 32 connections, ${scenario}, ${rounds} interleaved rounds of ` +
      `${seconds} s; medians with the range, ratios taken within each round. Disturbed runs: ${quiet.repeated} repeated, ` +
      `${quiet.disturbed} kept.`,
    '## CPU time of a request, µs',
    'User and system, of the gateway alone (/proc/<pid>/stat). The target is a ratio of at most 1.10 with metrics and access log.',
    table(
      ['', 'µs', 'ratio'],
      contenders.map(({ name, cpuUs, ratio }, index) => [
        name,
        ranged(cpuUs, 1),
        index === 0 ? '' : ranged(ratio, 3),
      ]),
    ),
    '## Counting, and a scrape of many services',
    `${scrape.services} services, each asked with three methods and answered with four statuses: what the metrics by route and service alone cost.`,
    table(
      ['', ''],
      [
        ['one request counted, always the same route, ns', scrape.countNs.one.toFixed(0)],
        [`one request counted, ${scrape.services} routes in turn, ns`, scrape.countNs.thousand.toFixed(0)],
        ['size of a scrape, MB', scrape.megabytes.toFixed(1)],
        ['CPU of a scrape, ms', scrape.cpuMs.toFixed(0)],
        ['longest that it holds the event loop, ms', scrape.longestHoldMs.toFixed(1)],
      ],
    ),
  ]
    .join('\n\n')
    .concat('\n')
}

function ranged(values: readonly number[], digits: number): string {
  const { median, least, most } = spread(values)
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}
