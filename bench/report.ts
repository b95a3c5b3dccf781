import type { Contender } from './contenders.ts'
import type { Figures, Measured } from './measure.ts'
import type { Quiet } from './quiet.ts'
import { ratios, type Spread, spread } from './statistics.ts'
import { judge } from './targets.ts'

export interface Findings {
  readonly machine: readonly string[]
  readonly load: string
  readonly quiet: Quiet
  readonly command: string
  readonly date: Date
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly connections: number
  readonly contenders: readonly Contender[]
  readonly absent: readonly string[]
  readonly measured: readonly Measured[]
  readonly peakMemoryMiB: ReadonlyMap<Contender, number>
}

/** Everything that was found, as Markdown. */
export function writeReport(findings: Findings): string {
  const { rounds, seconds, connections } = findings
  return [
    '# Bench results',
    `Written by \`${findings.command}\` on ${findings.date.toISOString().slice(0, 16).replace('T', ' ')} UTC. ` +
      'Not edited by hand.',
    list(findings.machine),
    `Load: ${findings.load} at saturation, \`bench/pacer.mjs\` (open loop) at the fixed rate; ${connections} ` +
      `keep-alive connections; ${rounds} interleaved round(s) of ${seconds} s after a warm-up of at least ` +
      `${findings.warmUpSeconds} s for each relay.`,
    'Figures are medians over the rounds with the range in brackets; ratios are taken within each round first. ' +
      'CPU is user and system time of the relay and its children by the operating system’s accounting, divided by the ' +
      'requests answered. “Core” is how much of its core the relay used at saturation: well below 100 % the load or ' +
      'the origin was the limit, and the relay could do more requests per second than the table says. HTTP replies ' +
      'other than 2xx and 3xx, and broken connections, would have cost a relay its figures.',
    `Runs during which something else on the machine used more than 10 % of a core: ${findings.quiet.repeated} ` +
      `repeated, ${findings.quiet.disturbed} kept as they were after several tries.`,
    '## Targets',
    'CPU per request of munjigi as a multiple of a peer’s.',
    targetTable(findings.measured),
    '## Ratios to the bare relay',
    ratioTable(findings),
    ...findings.measured.flatMap((measured) => [`## ${measured.scenario.name}`, scenarioText(measured)]),
    '## The relays',
    relayTable(findings),
    ...findings.contenders
      .filter(({ fault }) => fault)
      .map(({ relay, fault }) => `${relay.name} erred and has no figures: ${fault}`),
    findings.absent.length > 0 ? `Not on this machine: ${findings.absent.join(', ')}.` : '',
  ]
    .filter(Boolean)
    .join('\n\n')
    .concat('\n')
}

/** The table that is printed at the end of a run. */
export function ratioTable({ measured, contenders }: Pick<Findings, 'measured' | 'contenders'>): string {
  const header = [
    'relay',
    ...measured.flatMap(({ scenario }) => [`CPU, ${scenario.name}`, `req/s, ${scenario.name}`]),
  ]
  const rows = contenders.map((contender) => [
    contender.relay.name,
    ...measured.flatMap((one) => [
      toBare(one, contender, (figures) => figures.cpuUsPerRequest),
      toBare(one, contender, (figures) => figures.requestsPerSecond),
    ]),
  ])
  return table(header, rows)
}

export function targetTable(measured: readonly Measured[]): string {
  const rows = judge(measured).map(({ scenario, peer, atMost, ratio, met }) => [
    scenario,
    peer,
    `≤ ${atMost.toFixed(2)}`,
    ratio ? ranged(ratio, 2) : 'no figures',
    ratio ? (met ? 'met' : '**not met**') : '',
  ])
  return table(['scenario', 'against', 'target', 'measured', ''], rows)
}

function scenarioText(measured: Measured): string {
  const header = ['relay', 'requests/s', 'CPU µs per request', 'core', 'p50 ms', 'p99 ms']
  const rows = [...measured.figures].map(([contender, figures]) => [
    contender.relay.name,
    ...(contender.fault
      ? ['erred', '', '', '', '']
      : [
          ranged(spread(figures.requestsPerSecond), 0),
          ranged(spread(figures.cpuUsPerRequest), 1),
          `${(spread(figures.busy).median * 100).toFixed(0)} %`,
          ranged(spread(figures.p50Ms), 2),
          ranged(spread(figures.p99Ms), 2),
        ]),
  ])
  return (
    `Latencies at ${measured.pacedRate} requests/s, about 60 % of what the slowest does. The load straight to the ` +
    `origin: ${measured.originAlone.toFixed(0)} requests/s.\n\n${table(header, rows)}`
  )
}

function relayTable({ contenders, peakMemoryMiB }: Findings): string {
  const rows = contenders.map((contender) => [
    contender.relay.name,
    contender.version,
    contender.relay.setup,
    contender.fault ? 'erred' : `${(peakMemoryMiB.get(contender) ?? 0).toFixed(0)}`,
  ])
  return table(['relay', 'version', 'set up', 'peak RSS, MiB'], rows)
}

function toBare(measured: Measured, contender: Contender, pick: (figures: Figures) => number[]): string {
  const bare = [...measured.figures].find(([other]) => other.relay.name === 'bare')
  const figures = measured.figures.get(contender)
  if (!bare || bare[0].fault || !figures || contender.fault) return '–'
  return ranged(spread(ratios(pick(figures), pick(bare[1]))), 2)
}

function ranged({ median, least, most }: Spread, digits: number): string {
  const [middle, low, high] = [median, least, most].map((value) => value.toFixed(digits))
  return low === high ? `${middle}` : `${middle} (${low}–${high})`
}

const list = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join('\n')

/** A Markdown table whose columns are padded, so that it can be read where it is not rendered. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, column) =>
    Math.max(3, ...[header, ...rows].map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (cells[i] ?? '').padEnd(width)).join(' | ')} |`
  return [
    line(header),
    `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`,
    ...rows.map(line),
  ].join('\n')
}
