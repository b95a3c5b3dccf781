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
import { cpuSeconds, createLauncher, freePort, memoryMiB, type Running } from './processes.ts'
import { createQuiet } from './quiet.ts'
import { writeScaleReport } from './scale-report.ts'
import { instanceAddress, instancesPerService, large, serviceName, small } from './scale-services.ts'
import { measureUpdates } from './scale-update.ts'
import { expectBytes, type Scenario } from './scenarios.ts'

const usage = 'npm run bench:scale -- [rounds (5)] [seconds (4)] [file to write (bench/SCALE.md)]'
const changesPerSecond = 10
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** One gateway, of so many services, and the Consul that it learns of them from. */
export interface Town {
  readonly services: number
  readonly startMs: number
  /** Requests that Consul had until the gateway was ready. */
  readonly startRequests: number
  /** Resident: once ready, after 25 s of changes, and after all of the load. */
  readonly memoryMiB: { ready: number; changed: number; loaded: number }
  /** Share of a core that changes take, and requests to Consul in a second, while nobody asks for anything. */
  idle: { readonly cores: number; readonly requestsPerSecond: number }
  readonly cpuUs: { readonly still: number[]; readonly changing: number[] }
  admin: readonly { readonly path: string; readonly ms: number; readonly kB: number }[]
}

/** A gateway started with everything in gateway.yaml, and the file changed while it runs. */
export interface Written {
  readonly services: number
  readonly startMs: number
  /** From SIGHUP until a service that was added answers, and the CPU time that went into it. */
  readonly reloadMs: number
  readonly reloadCpuMs: number
  /** Resident: once the start has been done with, and after the reload. */
  readonly memoryMiB: { readonly started: number; readonly reloaded: number }
}

async function main(): Promise<void> {
  const [rounds, seconds] = [wholeNumber(process.argv[2], 5, usage), wholeNumber(process.argv[3], 4, usage)]
  const output = process.argv[4] ?? file('SCALE.md')
  const cores = findCores()
  const root = mkdtempSync(join(tmpdir(), 'munjigi-scale-'))
  const processes: Running[] = []
  const launch = createLauncher(root, processes)

  const quiet = createQuiet(rounds === 1 ? 0 : 3)
  const load = createLoad(32, cores.load)
  try {
    const housePort = await freePort()
    launch('origin', cores.load, [file('origin.mjs')], { PORT: String(housePort), HOST: '0.0.0.0' })

    const updates = new Map([
      [small, await measureUpdates(small, 50)],
      [large, await measureUpdates(large, 50)],
    ])
    console.log('updates measured')
    const written: Written[] = []
    for (const services of [small, large]) written.push(await readFromFile(services))
    console.log('gateway.yaml measured')
    const found = [await settle(small), await settle(large)]
    for (const { enter } of found) for (const rate of [0, changesPerSecond]) await enter.run(rate, 4)
    for (let round = 0; round < rounds; round += 1) {
      for (const turn of [0, 1]) {
        const { town, enter } = found[(turn + round) % 2]!
        town.cpuUs.still.push(await quiet.run(() => enter.run(0, seconds)))
        town.cpuUs.changing.push(await quiet.run(() => enter.run(changesPerSecond, seconds)))
      }
      console.log(`round ${round + 1} of ${rounds}`)
    }
    await sleep(10_000)
    for (const { town, enter } of found) await enter.look(town)

    const report = writeScaleReport({
      ...{ rounds, seconds, changesPerSecond, quiet, updates, written },
      towns: found.map(({ town }) => town),
      ...{ load: load.name, machine: describeMachine(cores), date: new Date() },
    })
    console.log(report)
    writeFileSync(output, report)

    async function settle(services: number) {
      const consulPort = await freePort()
      const consul = `http://127.0.0.1:${consulPort}`
      launch(
        `consul-${services}`,
        cores.load,
        [fileURLToPath(new URL('./scale-consul.ts', import.meta.url))],
        {
          ...{ PORT: String(consulPort), SERVICES: String(services), HOUSE_PORT: String(housePort) },
        },
      )
      await answers(`${consul}/count`, 'Consul')
      const { gateway, port, adminPort, startMs } = await startGateway(`gateway-${services}`, {
        ...{ DISCOVERY: 'consul', CONSUL_HTTP_ADDR: consul },
      })
      const countAt = async () => Number(await (await fetch(`${consul}/count`)).text())
      const startRequests = await countAt()
      const setRate = (rate: number) => fetch(`${consul}/changes/${rate}`).then((reply) => reply.text())
      const ready = memoryMiB(gateway.pid)

      await setRate(changesPerSecond)
      await sleep(5000)
      const [cpu, count, at] = [cpuSeconds(gateway.pid), await countAt(), performance.now()]
      await sleep(20_000)
      const elapsed = (performance.now() - at) / 1000
      const idle = {
        cores: (cpuSeconds(gateway.pid) - cpu) / elapsed,
        requestsPerSecond: ((await countAt()) - count) / elapsed,
      }
      const town: Town = {
        ...{ services, startMs, startRequests, idle },
        memoryMiB: { ready, changed: memoryMiB(gateway.pid), loaded: 0 },
        cpuUs: { still: [], changing: [] },
        admin: [],
      }
      await setRate(0)

      const scenario: Scenario = {
        ...{ name: 'GET 200 B', method: 'GET', path: `/api/${serviceName(5)}/small`, body: '' },
        fault: (body) => expectBytes(body, 200),
      }
      return {
        town,
        enter: {
          /** Microseconds of CPU time for each request. */
          async run(rate: number, forSeconds: number): Promise<number> {
            await setRate(rate)
            const before = cpuSeconds(gateway.pid)
            const { requests, errors } = await load.saturate(port, scenario, forSeconds)
            const used = cpuSeconds(gateway.pid) - before
            await setRate(0)
            gateway.emptyLogs()
            if (errors > 0) throw new Error(`${services} services: ${errors} of ${requests} requests failed`)
            return (used * 1e6) / requests
          },
          async look(found: Town): Promise<void> {
            found.memoryMiB.loaded = memoryMiB(gateway.pid)
            const paths = [
              `http://127.0.0.1:${adminPort}/admin/routes`,
              `http://127.0.0.1:${adminPort}/metrics`,
            ]
            found.admin = await Promise.all(paths.map(look))
          },
        },
      }
    }

    async function startGateway(name: string, env: Record<string, string>) {
      const [port, adminPort] = [await freePort(), await freePort()]
      const startedAt = performance.now()
      const gateway = launch(name, cores.relay, gatewayArgs(), {
        ...{ NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), DRAIN_DELAY: '0s' },
        ...{ ADMIN_PORT: String(adminPort), ADMIN_HOST: '127.0.0.1' },
        ...{ PUBLIC_URL: `http://127.0.0.1:${port}`, DATABASE_URL: 'none' },
        // A machine that others use must not turn requests away.
        ...{ OVERLOAD_DELAY: '0s' },
        ...{ ENCRYPTION_KEYS: `scale:${randomBytes(32).toString('base64')}`, ...env },
      })
      await answers(`http://127.0.0.1:${port}/readyz`, 'the gateway', gateway)
      return { gateway, port, adminPort, startMs: performance.now() - startedAt }
    }

    async function readFromFile(services: number): Promise<Written> {
      const config = join(root, `gateway-${services}.yaml`)
      writeFileSync(config, yamlOf(services))
      const { gateway, port, startMs } = await startGateway(`written-${services}`, { GATEWAY_CONFIG: config })
      // Once the start has been done with.
      await sleep(2000)
      const started = memoryMiB(gateway.pid)
      const [cpu, at] = [cpuSeconds(gateway.pid), performance.now()]
      writeFileSync(config, yamlOf(services, 1))
      process.kill(gateway.pid, 'SIGHUP')
      await answers(`http://127.0.0.1:${port}/api/${serviceName(services)}/small`, 'the new service', gateway)
      const reloadMs = performance.now() - at
      await sleep(500)
      const reloadCpuMs = (cpuSeconds(gateway.pid) - cpu) * 1000
      const reloaded = memoryMiB(gateway.pid)
      await gateway.stop()
      return { services, startMs, reloadMs, reloadCpuMs, memoryMiB: { started, reloaded } }
    }

    function yamlOf(services: number, more = 0): string {
      const entries = Array.from({ length: services + more }, (_, service) => {
        const urls = Array.from(
          { length: instancesPerService },
          (_, instance) => `http://${instanceAddress(service, instance)}:${housePort}`,
        )
        const name = serviceName(service)
        return `  ${name}:\n    path: /api/${name}\n    strip: /api/${name}\n    auth: none\n    openapi: false\n    urls:\n${urls.map((url) => `      - ${url}\n`).join('')}`
      })
      return `services:\n${entries.join('')}`
    }
  } finally {
    await Promise.all(processes.map((running) => running.stop()))
    rmSync(root, { recursive: true, force: true })
  }
}

/** Resolves once the address answers 200, within a minute. */
async function answers(url: string, what: string, running?: Running): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const status = await fetch(url).then(
      (reply) => reply.text().then(() => reply.status),
      () => 0,
    )
    if (status === 200) return
    if (running?.exited() || performance.now() > deadline) {
      throw new Error(`${what} does not answer ${url} (${status}): ${running?.complaint() ?? ''}`)
    }
    await sleep(10)
  }
}

/** The middle of seven. */
async function look(url: string) {
  const times: number[] = []
  let bytes = 0
  for (let i = 0; i < 7; i += 1) {
    const at = performance.now()
    const reply = await fetch(url)
    bytes = (await reply.arrayBuffer()).byteLength
    times.push(performance.now() - at)
    if (reply.status !== 200) throw new Error(`${url} answered ${reply.status}`)
  }
  return { path: new URL(url).pathname, ms: times.sort((a, b) => a - b)[3]!, kB: bytes / 1000 }
}

await runToEnd(main)
