import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runToEnd, wholeNumber } from './command-line.ts'
import { type Arena, createArena } from './contenders.ts'
import { installPeers } from './install.ts'
import { createLoad } from './load.ts'
import { describeMachine, findCores, onPath } from './machine.ts'
import { cpuSeconds } from './processes.ts'
import { createQuiet } from './quiet.ts'
import { client, munjigi } from './relays/munjigi.ts'
import { table } from './report.ts'
import { expectBytes, GUARDED_PREFIX, PREFIX, type Scenario } from './scenarios.ts'
import { measureSigning } from './signing.ts'
import { ratios, spread } from './statistics.ts'

const usage = 'npm run bench:tokens -- [rounds (5)] [seconds (4)] [file to write]'
const differentTokens = 10_000

/** What checking tokens costs: a guarded route beside a public one, and signing and verifying beside bare jose. */
async function main(): Promise<void> {
  const [rounds, seconds] = [wholeNumber(process.argv[2], 5, usage), wholeNumber(process.argv[3], 4, usage)]
  if (!onPath('wrk')) throw new Error('wrk is needed: autocannon sends one token only')
  installPeers()
  const cores = findCores()
  const arena = createArena(cores)
  try {
    const originPort = await arena.startOrigin()
    const gateway = await arena.enter(munjigi, munjigi.version() ?? '', originPort)
    if (gateway.fault !== undefined) throw new Error(`munjigi: ${gateway.fault}`)
    const load = createLoad(32, cores.load)
    const quiet = createQuiet(rounds === 1 ? 0 : 5)
    const scenarios = await tokenScenarios(arena, gateway.port)
    const used = new Map(scenarios.map(({ name }) => [name, [] as number[]]))

    for (const scenario of scenarios) await load.saturate(gateway.port, scenario, 4)
    for (let round = 0; round < rounds; round += 1) {
      for (let i = 0; i < scenarios.length; i += 1) {
        const scenario = scenarios[(i + round) % scenarios.length]!
        const run = await quiet.run(async () => {
          const before = cpuSeconds(gateway.process.pid)
          const result = await load.saturate(gateway.port, scenario, seconds)
          return { ...result, cpu: cpuSeconds(gateway.process.pid) - before }
        })
        gateway.process.emptyLogs()
        if (run.errors > 0) throw new Error(`${scenario.name}: ${run.errors} of ${run.requests} failed`)
        used.get(scenario.name)!.push((run.cpu * 1e6) / run.requests)
      }
    }

    const base = used.get(scenarios[0]!.name)!
    const rows = [...used].map(([name, cpu]) => [name, ranged(cpu, 1), ranged(ratios(cpu, base), 2)])
    const signing = await measureSigning()
    const report = [
      '# Bench of tokens',
      `Written by \`npm run bench:tokens -- ${rounds} ${seconds}\` on ${new Date().toISOString().slice(0, 16)} UTC.`,
      describeMachine(cores)
        .map((line) => `- ${line}`)
        .join('\n'),
      `CPU time of the gateway per GET of 200 B, ${rounds} interleaved rounds of ${seconds} s, medians with the range. ` +
        `The target is 1.15 for the same token. Disturbed runs kept: ${quiet.disturbed}.`,
      table(['request', 'CPU µs', 'of the first row'], rows),
      'One at a time on one thread, median of five rounds; the ratio is taken within each round.',
      table(['operation', 'per second', 'bare jose per second', 'ratio'], signing),
    ].join('\n\n')
    console.log(report)
    if (process.argv[4] !== undefined) writeFileSync(process.argv[4], `${report}\n`)
  } finally {
    await arena.close()
  }
}

/** The first is what the others are compared with. */
async function tokenScenarios(arena: Arena, port: number): Promise<Scenario[]> {
  const fault = (body: string) => expectBytes(body, 200)
  const get = { method: 'GET', body: '', fault } as const
  const one = join(arena.root, 'one-token')
  const many = join(arena.root, 'many-tokens')
  const tokens: string[] = []
  while (tokens.length < differentTokens) {
    tokens.push(...(await Promise.all(Array.from({ length: 20 }, () => mint(port)))))
  }
  writeFileSync(one, `${tokens[0]}\n`)
  writeFileSync(many, `${tokens.join('\n')}\n`)
  return [
    { ...get, name: 'public route', path: `${PREFIX}/small` },
    { ...get, name: 'public route, with a token nobody looks at', path: `${PREFIX}/small`, tokens: one },
    { ...get, name: 'guarded route, the same token', path: `${GUARDED_PREFIX}/small`, tokens: one },
    { ...get, name: 'guarded route, 10 000 tokens in turn', path: `${GUARDED_PREFIX}/small`, tokens: many },
  ]
}

async function mint(port: number): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${port}/tokens/create`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`,
    },
    body: JSON.stringify({ subject: 'bench', scope: 'profile' }),
  })
  const body = (await reply.json()) as { access_token?: string }
  if (body.access_token === undefined) throw new Error(`/tokens/create answered ${reply.status}`)
  return body.access_token
}

function ranged(values: readonly number[], digits: number): string {
  const { median, least, most } = spread(values)
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

await runToEnd(main)
