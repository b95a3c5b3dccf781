import type { Contender } from './contenders.ts'
import type { Load } from './load.ts'
import { cpuSeconds, peakMemoryMiB } from './processes.ts'
import type { Quiet } from './quiet.ts'
import { findFault, type Scenario, scenarios } from './scenarios.ts'
import { median } from './statistics.ts'

/** One relay's figures in one scenario; each list has one value per round, in the rounds' order. */
export interface Figures {
  readonly requestsPerSecond: number[]
  readonly cpuUsPerRequest: number[]
  /** Share of one core that the relay used at saturation. */
  readonly busy: number[]
  readonly p50Ms: number[]
  readonly p99Ms: number[]
}

export interface Measured {
  readonly scenario: Scenario
  /** Requests per second of the load straight to the origin: no relay can be seen to do more. */
  readonly originAlone: number
  /** The fixed rate of the latencies, in requests per second. */
  readonly pacedRate: number
  readonly figures: ReadonlyMap<Contender, Figures>
}

export interface Plan {
  readonly load: Load
  readonly quiet: Quiet
  readonly originPort: number
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly say: (line: string) => void
}

/** Loads every contender with every scenario before anything is measured, so that its code is compiled and hot. */
export async function warmUp(contenders: readonly Contender[], plan: Plan): Promise<void> {
  for (const contender of inPlay(contenders)) {
    plan.say(`warming up ${contender.relay.name}`)
    for (const [index, scenario] of scenarios.entries()) {
      const seconds = index === 0 ? plan.warmUpSeconds : Math.ceil(plan.warmUpSeconds / 2)
      await saturate(contender, scenario, plan, seconds)
    }
  }
}

/**
 * Measures one scenario: saturation in interleaved rounds, then the latencies in as many rounds at a rate that the
 * slowest can hold. A contender that errs is marked and left out from then on.
 */
export async function measure(
  scenario: Scenario,
  contenders: readonly Contender[],
  plan: Plan,
): Promise<Measured> {
  const figures = new Map(inPlay(contenders).map((contender) => [contender, noFigures()]))
  const direct = await plan.quiet.run(() => plan.load.saturate(plan.originPort, scenario, plan.seconds))

  for (let round = 0; round < plan.rounds; round++) {
    for (const contender of rotated(inPlay(contenders), round)) {
      plan.say(`${scenario.name}, round ${round + 1}: ${contender.relay.name}`)
      const run = await plan.quiet.run(() => saturate(contender, scenario, plan, plan.seconds))
      const into = figures.get(contender)
      into?.requestsPerSecond.push(run.requests / run.seconds)
      into?.cpuUsPerRequest.push((run.cpuSeconds * 1e6) / run.requests)
      into?.busy.push(run.cpuSeconds / run.seconds)
    }
  }

  const slowest = Math.min(...inPlay(contenders).map((c) => median(figures.get(c)?.requestsPerSecond ?? [])))
  const pacedRate = Math.max(100, Math.floor((slowest * 0.6) / 100) * 100)
  for (let round = 0; round < plan.rounds; round++) {
    for (const contender of rotated(inPlay(contenders), round)) {
      plan.say(`${scenario.name}, ${pacedRate} requests/s, round ${round + 1}: ${contender.relay.name}`)
      const paced = await plan.quiet.run(() =>
        plan.load.pace(contender.port, scenario, plan.seconds, pacedRate),
      )
      contender.process.emptyLogs()
      if (paced.errors > 0)
        contender.fault ??= `${scenario.name}: ${paced.errors} requests failed at a fixed rate`
      figures.get(contender)?.p50Ms.push(paced.p50Ms)
      figures.get(contender)?.p99Ms.push(paced.p99Ms)
    }
  }
  return { scenario, originAlone: direct.requests / direct.seconds, pacedRate, figures }
}

/** After all load: replies are still right, and how much memory each took at most, in MiB. */
export async function lastLook(contenders: readonly Contender[]): Promise<Map<Contender, number>> {
  const memory = new Map<Contender, number>()
  for (const contender of inPlay(contenders)) {
    contender.fault = await findFault(contender.port).catch((error: Error) => error.message)
    if (!contender.fault) memory.set(contender, peakMemoryMiB(contender.process.pid))
  }
  return memory
}

const inPlay = (contenders: readonly Contender[]): Contender[] => contenders.filter((c) => !c.fault)

async function saturate(contender: Contender, scenario: Scenario, plan: Plan, seconds: number) {
  const { pid } = contender.process
  const before = cpuSeconds(pid)
  const run = await plan.load.saturate(contender.port, scenario, seconds)
  const used = cpuSeconds(pid) - before
  contender.process.emptyLogs()
  if (run.errors > 0) contender.fault ??= `${scenario.name}: ${run.errors} of ${run.requests} requests failed`
  if (run.requests === 0) contender.fault ??= `${scenario.name}: it answered no request in ${seconds} s`
  return { ...run, cpuSeconds: used }
}

/** Each round begins with another relay, so that no one always follows the same neighbour at the same time. */
function rotated<T>(items: readonly T[], round: number): T[] {
  const shift = items.length === 0 ? 0 : round % items.length
  return [...items.slice(shift), ...items.slice(0, shift)]
}

const noFigures = (): Figures => ({
  requestsPerSecond: [],
  cpuUsPerRequest: [],
  busy: [],
  p50Ms: [],
  p99Ms: [],
})
