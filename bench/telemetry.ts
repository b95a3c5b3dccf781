import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { runToEnd, wholeNumber } from './command-line.ts'
import { gatewayArgs } from './gateway-command.ts'
import { createLoad } from './load.ts'
import { describeMachine, findCores } from './machine.ts'
import { cpuSeconds, createLauncher, freePort, type Running } from './processes.ts'
import { createQuiet } from './quiet.ts'
import { findFault, PREFIX, scenarios } from './scenarios.ts'
import { ratios } from './statistics.ts'
import { writeTelemetryReport } from './telemetry-report.ts'
import { measureScrape } from './telemetry-scrape.ts'

const usage = 'npm run bench:telemetry -- [rounds (7)] [seconds (5)] [file to write (bench/TELEMETRY.md)]'
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** One gateway, by what it tells of its requests. */
export interface Contender {
  readonly name: string
  /** Microseconds of CPU time for each request, round by round. */
  readonly cpuUs: number[]
}

async function main(): Promise<void> {
  const [rounds, seconds] = [wholeNumber(process.argv[2], 7, usage), wholeNumber(process.argv[3], 5, usage)]
  const output = process.argv[4] ?? file('TELEMETRY.md')
  const cores = findCores()
  const root = mkdtempSync(join(tmpdir(), 'munjigi-telemetry-'))
  const processes: Running[] = []
  const launch = createLauncher(root, processes)

  const quiet = createQuiet(rounds === 1 ? 0 : 3)
  const load = createLoad(32, cores.load)
  const scenario = scenarios[0]!
  try {
    const scrape = await quiet.run(measureScrape)
    const [housePort, collectorPort] = [await freePort(), await freePort()]
    launch('origin', cores.load, [file('origin.mjs')], { PORT: String(housePort) })
    launch('collector', cores.load, [fileURLToPath(new URL('./telemetry-collector.ts', import.meta.url))], {
      PORT: String(collectorPort),
    })
    const config = join(root, 'gateway.yaml')
    const house = { path: PREFIX, strip: PREFIX, auth: 'none', openapi: false }
    writeFileSync(
      config,
      JSON.stringify({ services: { bench: { ...house, urls: `http://127.0.0.1:${housePort}` } } }),
    )
    const traces = (share: string) => ({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collectorPort}`,
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: share,
    })
    const nothing = new URL('./telemetry-off.ts', import.meta.url).href
    const off = await startGateway('neither', {}, ['--import', nothing])
    const on = await startGateway('metrics and access log', {})
    const others = [
      await startGateway('metrics alone', { LOG_LEVEL: 'warn' }),
      await startGateway('and traces, 10 % of them', traces('0.1')),
      await startGateway('and traces, all of them', traces('1')),
    ]
    const all = [off, on, ...others]
    for (const { run } of all) await run(4)
    for (let round = 0; round < rounds; round += 1) {
      // Each of them is the first in its turn.
      for (let turn = 0; turn < all.length; turn += 1) {
        const { contender, run } = all[(turn + round) % all.length]!
        contender.cpuUs.push(await quiet.run(() => run(seconds)))
      }
      const now = (on.contender.cpuUs.at(-1)! / off.contender.cpuUs.at(-1)!).toFixed(3)
      console.log(`round ${round + 1} of ${rounds}: ${now}`)
    }
    const report = writeTelemetryReport({
      ...{ rounds, seconds, quiet, scrape, scenario: scenario.name },
      contenders: all.map(({ contender }) => ({
        ...contender,
        ratio: ratios(contender.cpuUs, off.contender.cpuUs),
      })),
      ...{ load: load.name, machine: describeMachine(cores), date: new Date() },
    })
    console.log(report)
    writeFileSync(output, report)

    async function startGateway(
      name: string,
      env: Readonly<Record<string, string>>,
      before: readonly string[] = [],
    ) {
      const [port, adminPort] = [await freePort(), await freePort()]
      const gateway = launch(name.replaceAll(/\W+/g, '-'), cores.relay, [...before, ...gatewayArgs()], {
        ...{ NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), DRAIN_DELAY: '0s' },
        ...{ ADMIN_PORT: String(adminPort), ADMIN_HOST: '127.0.0.1', GATEWAY_CONFIG: config },
        ...{ PUBLIC_URL: `http://127.0.0.1:${port}`, DATABASE_URL: 'none' },
        // A machine that others use must not turn requests away.
        ...{ OVERLOAD_DELAY: '0s' },
        ...{ ENCRYPTION_KEYS: `telemetry:${randomBytes(32).toString('base64')}`, ...env },
      })
      await answers(`http://127.0.0.1:${port}/readyz`, gateway)
      const fault = await findFault(port, [scenario])
      if (fault !== undefined) throw new Error(`${name}: ${fault}`)
      const contender: Contender = { name, cpuUs: [] }
      return {
        contender,
        /** Microseconds of CPU time for each request, a scrape among them where it tells of them. */
        async run(forSeconds: number): Promise<number> {
          const used = cpuSeconds(gateway.pid)
          if (before.length === 0) await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
          const { requests, errors } = await load.saturate(port, scenario, forSeconds)
          const cpu = cpuSeconds(gateway.pid) - used
          gateway.emptyLogs()
          if (errors > 0) throw new Error(`${name}: ${errors} of ${requests} requests failed`)
          return (cpu * 1e6) / requests
        },
      }
    }
  } finally {
    await Promise.all(processes.map((running) => running.stop()))
    rmSync(root, { recursive: true, force: true })
  }
}

/** Resolves once the address answers 200, within a minute. */
async function answers(url: string, running: Running): Promise<void> {
  for (const deadline = performance.now() + 60_000; ; await sleep(20)) {
    const status = await fetch(url).then(
      (reply) => reply.text().then(() => reply.status),
      () => 0,
    )
    if (status === 200) return
    if (running.exited() || performance.now() > deadline) {
      throw new Error(`the gateway does not answer ${url} (${status}): ${running.complaint()}`)
    }
  }
}

await runToEnd(main)
