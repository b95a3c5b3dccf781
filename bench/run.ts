import { writeFileSync } from 'node:fs'
import { type Arena, type Contender, createArena } from './contenders.ts'
import { installPeers } from './install.ts'
import { createLoad } from './load.ts'
import { type Cores, describeMachine, findCores } from './machine.ts'
import { lastLook, type Measured, measure, type Plan, warmUp } from './measure.ts'
import { type Options, readOptions } from './options.ts'
import { profile } from './profile.ts'
import { createQuiet } from './quiet.ts'
import { relays } from './relays/index.ts'
import { ratioTable, targetTable, writeReport } from './report.ts'
import { scenarios } from './scenarios.ts'

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (process.platform !== 'linux') throw new Error('the bench reads CPU times from /proc: it needs Linux')
  installPeers()
  const cores = findCores()
  const arena = createArena(cores)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => arena.close().finally(() => process.exit(130)))
  }
  try {
    await (options.profile === undefined ? bench : profile)(options, cores, arena)
  } finally {
    await arena.close()
  }
}

async function bench(options: Options, cores: Cores, arena: Arena): Promise<void> {
  const load = createLoad(options.connections, cores.load)
  const originPort = await arena.startOrigin()
  const machine = describeMachine(cores)
  console.log([...machine, `Load: ${load.name}`].join('\n'))

  const contenders: Contender[] = []
  const absent: string[] = []
  for (const relay of chosen(options.relays)) {
    const version = relay.version()
    if (version === undefined) absent.push(relay.name)
    else contenders.push(await arena.enter(relay, version, originPort))
  }

  const { rounds, seconds, warmUpSeconds } = options
  const quiet = createQuiet(options.smoke ? 0 : 5)
  const plan: Plan = { load, quiet, originPort, rounds, seconds, warmUpSeconds, say: progress }
  await warmUp(contenders, plan)
  const measured: Measured[] = []
  for (const scenario of scenarios) measured.push(await measure(scenario, contenders, plan))
  const peakMemoryMiB = await lastLook(contenders)
  progress('')

  const args = process.argv.slice(2)
  const command = ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
  const findings = {
    ...options,
    machine,
    load: load.name,
    quiet,
    command,
    date: new Date(),
    contenders,
    absent,
    measured,
  }
  const report = writeReport({ ...findings, peakMemoryMiB })
  console.log(
    `\nRatios to the bare relay\n\n${ratioTable(findings)}\n\nTargets\n\n${targetTable(measured)}\n`,
  )
  if (options.output) writeFileSync(options.output, report)
  console.log(options.output ? `All figures: ${options.output}` : report)

  if (quiet.disturbed > 0)
    console.error(`${quiet.disturbed} runs were disturbed by something else on the machine`)
  const erred = contenders.filter((contender) => contender.fault)
  for (const { relay, fault } of erred) console.error(`${relay.name} erred: ${fault}`)
  for (const name of absent) console.error(`${name} is not on this machine`)
  if (erred.length > 0 || (options.smoke && absent.length > 0)) process.exitCode = 1
}

function chosen(names: readonly string[] | undefined) {
  const unknown = names?.filter((name) => !relays.some((relay) => relay.name === name)) ?? []
  if (unknown.length > 0) {
    throw new Error(
      `--relays ${unknown.join(',')}: expected some of ${relays.map(({ name }) => name).join(',')}`,
    )
  }
  return relays.filter(({ name }) => names?.includes(name) ?? true)
}

/** One line that is written over on a terminal, and a line each elsewhere. */
function progress(line: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${line}`)
  else if (line) console.log(line)
}

await main().catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
