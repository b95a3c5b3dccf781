import type { Quiet } from './quiet.ts'
import { table } from './report.ts'
import type { Town, Written } from './scale.ts'
import type { UpdateTimes } from './scale-update.ts'
import { median, ratios, spread } from './statistics.ts'

export interface ScaleFindings {
  readonly rounds: number
  readonly seconds: number
  readonly changesPerSecond: number
  readonly quiet: Pick<Quiet, 'repeated' | 'disturbed'>
  /** The small one first. */
  readonly towns: readonly Town[]
  readonly written: readonly Written[]
  readonly updates: ReadonlyMap<number, UpdateTimes>
  readonly load: string
  readonly machine: readonly string[]
  readonly date: Date
}

/** Everything that was found, as Markdown. */
export function writeScaleReport(findings: ScaleFindings): string {
  const { rounds, seconds, changesPerSecond, quiet, towns, load, machine, date } = findings
  const [small, large] = [towns[0]!, towns[1]!]
  const memory = (when: keyof Town['memoryMiB']) => [
    ...towns.map((town) => town.memoryMiB[when].toFixed(0)),
    (large.memoryMiB[when] - small.memoryMiB[when]).toFixed(0),
  ]
  const heading = ['', ...towns.map(({ services }) => `${services} services`)]
  const cpu = (what: keyof Town['cpuUs']) => [
    ...towns.map((town) => ranged(town.cpuUs[what], 1)),
    ranged(ratios(large.cpuUs[what], small.cpuUs[what]), 2),
  ]
  return [
    '# Bench of a large address book',
    `Written by \`npm run bench:scale -- ${rounds} ${seconds}\` on ${date.toISOString().slice(0, 16).replace('T', ' ')} UTC. Not edited by hand.`,
    machine.map((line) => `- ${line}`).join('\n'),
    `Two gateways with 10 instances a service, each with a stand-in for Consul of its own (real shapes, blocking ` +
      `queries), in which ${changesPerSecond} instances a second turn critical or passing again. Load: ${load}, 32 ` +
      `connections, ${rounds} interleaved rounds of ${seconds} s; medians with the range, ratios taken within each ` +
      `round. Disturbed runs: ${quiet.repeated} repeated, ${quiet.disturbed} kept.`,
    '## CPU time of a request, µs',
    'GET of 200 B. The target is a ratio of at most 1.10.',
    table(
      [...heading, 'ratio'],
      [
        ['nothing changes', ...cpu('still')],
        [`${changesPerSecond} changes a second`, ...cpu('changing')],
      ],
    ),
    '## Event-loop time of an update, ms',
    'From a published snapshot to routes in force, collector of API documents not included; median and the longest of 50. The target is 50.',
    updateTable(findings),
    '## Memory, MiB resident',
    'The target is a difference of at most 60.',
    table(
      [...heading, 'difference'],
      [
        ['when ready', ...memory('ready')],
        [`after 25 s of ${changesPerSecond} changes a second`, ...memory('changed')],
        ['after the load', ...memory('loaded')],
      ],
    ),
    '## Start, Consul, and what the gateway says of itself',
    table(heading, [
      ['from the start until ready, ms', ...towns.map(({ startMs }) => startMs.toFixed(0))],
      ['requests to Consul until ready', ...towns.map(({ startRequests }) => String(startRequests))],
      [
        `requests to Consul a second at ${changesPerSecond} changes a second`,
        ...towns.map(({ idle }) => idle.requestsPerSecond.toFixed(1)),
      ],
      [
        `CPU that ${changesPerSecond} changes a second take, % of a core`,
        ...towns.map(({ idle }) => (idle.cores * 100).toFixed(1)),
      ],
      ...small.admin.map(({ path }, index) => [
        `${path}, ms and kB`,
        ...towns.map(({ admin }) => `${admin[index]!.ms.toFixed(0)} and ${admin[index]!.kB.toFixed(0)}`),
      ]),
    ]),
    '## All of it in gateway.yaml',
    table(heading, [
      ['from the start until ready, ms', ...findings.written.map(({ startMs }) => startMs.toFixed(0))],
      [
        'from SIGHUP until an added service answers, ms',
        ...findings.written.map(({ reloadMs }) => reloadMs.toFixed(0)),
      ],
      [
        'resident once started, MiB',
        ...findings.written.map(({ memoryMiB }) => memoryMiB.started.toFixed(0)),
      ],
      [
        'and after the reload, MiB',
        ...findings.written.map(({ memoryMiB }) => memoryMiB.reloaded.toFixed(0)),
      ],
      ['CPU time of the reload, ms', ...findings.written.map(({ reloadCpuMs }) => reloadCpuMs.toFixed(0))],
    ]),
  ]
    .join('\n\n')
    .concat('\n')
}

function updateTable({ updates }: ScaleFindings): string {
  const times = [...updates.values()]
  const row = (name: string, what: 'one' | 'oneAmongCopies' | 'all') => [
    name,
    ...times.map((of) => `${median(of[what]).toFixed(2)}, ${Math.max(...of[what]).toFixed(2)}`),
  ]
  return table(
    ['', ...[...updates.keys()].map((count) => `${count} services`)],
    [
      row('one service changes', 'one'),
      row('one changes, the source hands copies over', 'oneAmongCopies'),
      row('every service changes', 'all'),
      ['the first table', ...times.map(({ first }) => first.toFixed(2))],
    ],
  )
}

function ranged(values: readonly number[], digits: number): string {
  const { median, least, most } = spread(values)
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}
