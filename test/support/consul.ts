import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import Consul from 'consul'
import { findConsul } from '../../scripts/consul.ts'
import { inCalm } from './calm.ts'
import { freePorts } from './ports.ts'
import { patienceMs } from './until.ts'

const finding = await findConsul()

/** Agents must not outlive the tests, whatever ends those. */
const agents = new Set<ChildProcess>()
process.once('exit', () => {
  for (const agent of agents) agent.kill('SIGKILL')
})

/**
 * A test that needs a real Consul agent. Where none can be had it is skipped, with the reason in its title, and
 * AVA's last lines count it; with `REQUIRE_CONSUL=1` it fails instead.
 */
export function consulTest(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  // Consul's own answers are waited for three seconds at most, by the gateway itself.
  if ('binary' in finding) test(title, inCalm(run))
  else if (process.env.REQUIRE_CONSUL === '1') test(title, (t) => t.fail(`no Consul: ${finding.unavailable}`))
  else test.skip(`${title} (SKIPPED, no Consul: ${finding.unavailable})`, run)
}

export interface TestConsul {
  readonly address: string
  readonly port: number
  readonly client: Consul
  /** Ends the agent for good and closes the client's connections. */
  stop(): Promise<void>
  /** kill -9: nothing is said to anybody. */
  kill(): Promise<void>
  freeze(): void
  thaw(): void
  /** Kills the agent if it runs and starts one on the same ports, which knows nothing of the old one's services. */
  restartEmpty(): Promise<void>
}

export interface ConsulAgentOptions {
  /** Further settings of the agent, as in its configuration files. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** An agent takes some 70 MB and a start that keeps a core busy: a test file has no more than these at a time. */
const slots = createSlots(4)

/** Starts `consul agent -dev` on free ports of the loopback interface and waits until it has a leader and a catalog. */
export async function startConsul(
  t: ExecutionContext,
  { config = {} }: ConsulAgentOptions = {},
): Promise<TestConsul> {
  t.teardown(await slots.take())
  // A port that was free a moment ago may be taken by another test file: then others are tried.
  for (let attempt = 1; ; attempt++) {
    const [http = 0, server = 0, serf = 0] = await freePorts(3)
    try {
      const agent = await startAgent([http, server, serf], config)
      t.teardown(agent.stop)
      return agent
    } catch (error) {
      if (attempt === 3) throw error
    }
  }
}

function createSlots(free: number) {
  const waiting: (() => void)[] = []
  return {
    /** Waits for a free one; gives the function that frees it. */
    async take(): Promise<() => void> {
      if (free > 0) free -= 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
      return () => {
        const next = waiting.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}

type Ports = readonly [http: number, server: number, serf: number]

async function startAgent(ports: Ports, config: Readonly<Record<string, unknown>>): Promise<TestConsul> {
  const [port] = ports
  const client = new Consul({ host: '127.0.0.1', port })
  let child = await launch(ports, config)

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  return {
    address: `127.0.0.1:${port}`,
    port,
    client,
    async stop() {
      await kill()
      client.destroy()
    },
    kill,
    freeze() {
      child.kill('SIGSTOP')
      waitUntilStopped(child.pid ?? 0)
    },
    thaw: () => void child.kill('SIGCONT'),
    async restartEmpty() {
      await kill()
      child = await launch(ports, config)
    },
  }
}

async function launch(ports: Ports, config: Readonly<Record<string, unknown>>) {
  if (!('binary' in finding)) throw new Error(finding.unavailable)
  const [http, server, serf] = ports
  const settings = Object.entries({
    bind: '127.0.0.1',
    client: '127.0.0.1',
    node: `test-${http}`,
    'http-port': http,
    'server-port': server,
    'serf-lan-port': serf,
    'serf-wan-port': -1,
    'dns-port': -1,
    'grpc-port': -1,
    'log-level': 'err',
    hcl: JSON.stringify(config),
  })
  const child = spawn(finding.binary, [
    'agent',
    '-dev',
    ...settings.map(([name, value]) => `-${name}=${value}`),
  ])
  agents.add(child)
  child.once('exit', () => agents.delete(child))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-2000)
    })
  }
  const deadline = Date.now() + patienceMs
  // Where there are ACLs nobody without a token sees the catalog.
  const isUp = async () => (await hasLeader(http)) && ('acl' in config || (await hasCatalog(http)))
  while (!(await isUp())) {
    if (child.exitCode !== null) throw new Error(`the Consul agent ended: ${output}`)
    if (Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`the Consul agent is not up after ${patienceMs} ms: ${output}`)
    }
    await sleep(50)
  }
  return child
}

async function hasLeader(port: number): Promise<boolean> {
  const leader = await answerOf(port, '/v1/status/leader')
  return leader !== undefined && leader !== ''
}

/** Consul's own service comes into the catalog a moment after there is a leader. */
async function hasCatalog(port: number): Promise<boolean> {
  return Object.keys((await answerOf(port, '/v1/catalog/services')) ?? {}).length > 0
}

async function answerOf(port: number, path: string): Promise<unknown> {
  try {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(10_000) })
    return reply.ok ? await reply.json() : undefined
  } catch {
    return undefined
  }
}

/** Runs one of the other commands of the binary, such as `consul tls`. */
export async function runConsul(args: readonly string[], cwd: string): Promise<void> {
  if (!('binary' in finding)) throw new Error(finding.unavailable)
  await promisify(execFile)(finding.binary, args, { cwd })
}

/**
 * Returns once every thread has stopped: kill() returns before, and an agent on another core may answer one more
 * request. There is nothing to await for it; it takes microseconds.
 */
function waitUntilStopped(pid: number): void {
  const tasks = `/proc/${pid}/task`
  // Only Linux tells; elsewhere the signal itself must do.
  if (!existsSync(tasks)) return
  const stopped = (task: string) => /\) [Tt] /.test(readFileSync(`${tasks}/${task}/stat`, 'latin1'))
  const deadline = performance.now() + patienceMs
  while (!readdirSync(tasks).every(stopped)) {
    if (performance.now() > deadline) throw new Error('the Consul agent did not stop')
  }
}
