import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { areaOf, type CallFrame, functionOf, payerOf } from './areas.ts'
import type { Arena } from './contenders.ts'
import { createLoad } from './load.ts'
import type { Cores } from './machine.ts'
import type { Options } from './options.ts'
import { cpuSeconds } from './processes.ts'
import { relays } from './relays/index.ts'
import { table } from './report.ts'
import { scenarios } from './scenarios.ts'

/** What `node --cpu-prof` writes; times in microseconds of the monotonic clock. */
interface CpuProfile {
  readonly nodes: readonly { id: number; callFrame: CallFrame; children?: readonly number[] }[]
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** The profile is written when the process ends by itself, which most peers do not do when they are told to. */
const EXIT_ON_SIGTERM = 'data:text/javascript,process.on("SIGTERM",()=>process.exit())'

/** Runs one Node relay under the sampling profiler with one scenario, and prints where its CPU time goes. */
export async function profile(options: Options, cores: Cores, arena: Arena): Promise<void> {
  const relay = relays.find(({ name }) => name === options.profile)
  const version = relay?.version()
  if (!relay || version === undefined) throw new Error(`--profile: ${options.profile} is not here`)
  const scenario = scenarios.find(({ name }) => name === (options.scenario ?? scenarios[0]?.name))
  if (!scenario)
    throw new Error(`--scenario: expected one of ${scenarios.map(({ name }) => name).join(', ')}`)
  const load = createLoad(options.connections, cores.load)
  const originPort = await arena.startOrigin()
  const contender = await arena.enter(relay, version, originPort, (launch) => {
    if (launch.command !== process.execPath) throw new Error(`--profile: ${relay.name} is not a Node program`)
    const how = ['--cpu-prof', `--cpu-prof-dir=${arena.root}`, '--import', EXIT_ON_SIGTERM]
    return { ...launch, args: [...how, ...launch.args] }
  })
  if (contender.fault) throw new Error(`${relay.name} erred: ${contender.fault}`)

  await load.saturate(contender.port, scenario, options.warmUpSeconds)
  const before = cpuSeconds(contender.process.pid)
  const startUs = nowUs()
  const run = await load.saturate(contender.port, scenario, options.seconds)
  const endUs = nowUs()
  const cpuUs = (cpuSeconds(contender.process.pid) - before) * 1e6
  await contender.process.stop()

  const file = readdirSync(arena.root).find((name) => name.endsWith('.cpuprofile'))
  if (!file) throw new Error(`${relay.name} wrote no profile: it did not end by itself on SIGTERM`)
  const recorded = JSON.parse(readFileSync(join(arena.root, file), 'utf8')) as CpuProfile
  const cpuUsPerRequest = cpuUs / run.requests
  console.log(
    `${relay.name} ${version}, ${scenario.name}, ${load.name}: ${cpuUsPerRequest.toFixed(1)} µs of CPU per request ` +
      `under the profiler, ${run.requests} requests in ${run.seconds.toFixed(1)} s\n`,
  )
  const window = { startUs, endUs }
  console.log(shares('self time in', sampledUs(recorded, window, areaOf), cpuUsPerRequest))
  console.log(`\n${shares('on behalf of', sampledUs(recorded, window, payerOf), cpuUsPerRequest)}`)
  console.log(`\n${shares('function', sampledUs(recorded, window, functionOf), cpuUsPerRequest, 25)}`)
}

function shares(
  title: string,
  sampled: ReadonlyMap<string, number>,
  cpuUsPerRequest: number,
  most = Infinity,
): string {
  const busy = [...sampled].filter(([group]) => group !== 'idle').sort(([, a], [, b]) => b - a)
  const totalUs = busy.reduce((sum, [, us]) => sum + us, 0)
  const rows = busy
    .slice(0, most)
    .map(([group, us]) => [
      group,
      `${((us / totalUs) * 100).toFixed(1)} %`,
      ((us / totalUs) * cpuUsPerRequest).toFixed(2),
    ])
  return table([title, 'share', 'µs per request'], rows)
}

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n)

/** Microseconds of the samples within the window, per group; a sample's stack begins with its own frame. */
function sampledUs(
  recorded: CpuProfile,
  window: { readonly startUs: number; readonly endUs: number },
  groupOf: (stack: readonly CallFrame[]) => string,
): Map<string, number> {
  const frames = new Map(recorded.nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parents = new Map(recorded.nodes.flatMap(({ id, children = [] }) => children.map((c) => [c, id])))
  const stackOf = (id: number): CallFrame[] => {
    const stack: CallFrame[] = []
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) stack.push(frames.get(at)!)
    return stack
  }
  const groups = new Map(recorded.nodes.map(({ id }) => [id, groupOf(stackOf(id))]))

  const times = new Map<string, number>()
  let atUs = recorded.startTime
  for (const [index, id] of recorded.samples.entries()) {
    const deltaUs = recorded.timeDeltas[index] ?? 0
    atUs += deltaUs
    if (atUs < window.startUs || atUs > window.endUs) continue
    const group = groups.get(id) ?? 'unknown'
    times.set(group, (times.get(group) ?? 0) + deltaUs)
  }
  return times
}
