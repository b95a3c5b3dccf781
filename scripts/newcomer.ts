import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * `npm run newcomer`: how long somebody who has Node, npm and git waits for the first proxied reply. A clone of HEAD, an
 * empty npm cache, a home of its own and no variable but what this machine needs to reach the registry.
 */
const patienceMs = 15 * 60_000
const needed = /^(?:https?_proxy|no_proxy|npm_config_registry|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/i

const scratch = await mkdtemp(join(tmpdir(), 'munjigi-newcomer-'))
const folder = join(scratch, 'munjigi')
const cache = join(scratch, 'npm-cache')
const [port, authPort, demoPort] = await freePorts(3)
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => needed.test(name))),
  // `npm run` puts the Node of node_modules in front, which a newcomer does not have yet.
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter((path) => !path.includes('node_modules') && !path.includes('node-gyp-bin'))
    .join(delimiter),
  HOME: scratch,
  npm_config_cache: cache,
  PORT: String(port),
  AUTH_PORT: String(authPort),
  DEMO_PROVIDER_PORT: String(demoPort),
}
const running = new Set<ChildProcess>()

try {
  const begun = performance.now()
  await run('git', ['clone', '--quiet', '--no-local', process.cwd(), folder], scratch)
  const cloned = performance.now()
  await run('npm', ['ci'], folder)
  const installed = performance.now()
  const gateway = start('npm', ['start'], folder)
  const [listening] = await Promise.all([says(gateway, 'munjigi listens on'), firstReply(gateway)])
  const answered = performance.now()
  const code = await stop(gateway)

  console.log(`clone        ${seconds(cloned - begun)}`)
  console.log(`npm ci       ${seconds(installed - cloned)}`)
  console.log(`start        ${seconds(listening - installed)}  until the gateway listens`)
  console.log(`first reply  ${seconds(answered - installed)}  after npm start: GET /api/users`)
  console.log(`in all       ${seconds(answered - begun)}`)
  console.log(
    `npm fetched ${megabytes(await sizeOf(cache))}, node_modules has ${megabytes(await sizeOf(join(folder, 'node_modules')))}`,
  )
  console.log(
    `on ${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${megabytes(totalmem())}, Node ${process.version} for munjigi`,
  )
  if (code !== 0) throw new Error(`npm start ended with ${code} after Ctrl-C`)
} finally {
  for (const child of running) signalGroup(child, 'SIGKILL')
  await rm(scratch, { recursive: true, force: true })
}

function start(program: string, args: readonly string[], cwd: string): ChildProcess {
  // A group of its own, as a terminal gives it: Ctrl-C reaches all of it.
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.once('close', () => running.delete(child))
  return child
}

async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  const child = start(program, args, cwd)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text))
  const [code] = await once(child, 'close', { signal: AbortSignal.timeout(patienceMs) })
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${output}`)
}

/** When it did. */
async function says(child: ChildProcess, words: string): Promise<number> {
  let output = ''
  return await new Promise((resolve, reject) => {
    child.stdout?.on('data', (text) => {
      output += text
      if (output.includes(words)) resolve(performance.now())
    })
    child.once('close', (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)))
  })
}

async function firstReply(child: ChildProcess): Promise<void> {
  const deadline = AbortSignal.timeout(patienceMs)
  while (child.exitCode === null) {
    const reply = await fetch(`http://localhost:${port}/api/users`, { signal: deadline }).catch(
      () => undefined,
    )
    if (reply?.ok) {
      const { message } = (await reply.json()) as { message?: string }
      if (message === 'Welcome from AUTH service') return
    }
    deadline.throwIfAborted()
    await delay(20)
  }
}

async function stop(child: ChildProcess): Promise<number | null> {
  const closed = once(child, 'close', { signal: AbortSignal.timeout(patienceMs) })
  signalGroup(child, 'SIGINT')
  const [code] = await closed
  return code
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended.
  }
}

async function sizeOf(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(
    files.map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, 'localhost'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_000_000)} MB`
}
