import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'
import { findCaddy } from '../../scripts/caddy.ts'
import { findConsul } from '../../scripts/consul.ts'
import type { Translation } from './compose-places.ts'
import { execute, startPostgres } from './postgres.ts'
import { bareEnvironment, startProcess } from './processes.ts'

const run = promisify(execFile)

/** A container that is to run as a process: its command and environment as they are after translation. */
export interface Start {
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly translation: Translation
  /** For files of the process. */
  readonly folder: string
}

export interface Running {
  output(): string
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
}

/** One of the programs of the topology. Nothing of it outlives the test. */
export type Program = (t: ExecutionContext, start: Start) => Promise<Running>

/** `node …`: the very command of the image, from the repository in place of /app. */
export const node: Program = async (t, { command, environment }) => {
  const [, program = '', ...args] = command
  const child = startProcess(t, program, environment, { args })
  // Each question about its health is a process of its own: none before there is anything to ask.
  await child.printed(/ listen(?:s|ing) on /)
  return {
    output: child.output,
    async stop() {
      child.kill('SIGTERM')
      return (await child.exited).code
    },
  }
}

/** `consul …`, told the ports besides, which in a container are its own. */
export const consul: Program = async (t, { command, environment, translation: { address, port } }) => {
  const found = await findConsul()
  if (!('binary' in found)) throw new Error(found.unavailable)
  const settings = {
    ...{ bind: address, client: address, 'http-port': port('8500'), 'server-port': port('8300') },
    ...{ 'serf-lan-port': port('8301'), 'serf-wan-port': '-1', 'dns-port': port('8600'), 'grpc-port': '-1' },
  }
  const added = Object.entries(settings).map(([name, value]) => `-${name}=${value}`)
  return spawned(t, found.binary, [...command.slice(1), ...added], environment)
}

/** A server of its own on 127.0.0.1, with the user and the database that the environment asks for. */
export async function startDatabase(
  t: ExecutionContext,
  {
    POSTGRES_USER: user = '',
    POSTGRES_PASSWORD: password = '',
    POSTGRES_DB: name = '',
  }: Record<string, string>,
): Promise<{ readonly port: string; readonly url: string }> {
  const server = await startPostgres()
  t.teardown(server.stop)
  await execute(server.url, `create role ${user} superuser login password '${password}'`)
  await execute(server.url, `create database ${name} owner ${user}`)
  const { port } = new URL(server.url)
  return { port, url: `postgres://${user}:${password}@127.0.0.1:${port}/${name}` }
}

/** `caddy run`, with the Caddyfile as Caddy reads it. */
export const caddy: Program = async (t, { command, environment, translation, folder }) => {
  const found = await findCaddy()
  if (!('binary' in found)) throw new Error(found.unavailable)
  const file = command[command.indexOf('--config') + 1] ?? ''
  // The Caddyfile is read with the environment of the file: its ports are translated with everything else in it.
  const { stdout } = await run(found.binary, ['adapt', '--adapter', 'caddyfile', '--config', file], {
    env: { PATH: process.env.PATH, ...environment },
  })
  const configuration = JSON.stringify(translated(JSON.parse(stdout), translation))
  const path = `${folder}/caddy.json`
  await writeFile(path, configuration)
  const home = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  return spawned(t, found.binary, ['run', '--config', path], { ...environment, ...home })
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

function translated(value: Json, translation: Translation): Json {
  if (typeof value === 'string') {
    // Caddy's way to say every address.
    const [, port] = /^:(\d+)$/.exec(value) ?? []
    return port === undefined ? translation.text(value) : `${translation.address}:${translation.port(port)}`
  }
  if (Array.isArray(value)) return value.map((item: Json) => translated(item, translation))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, translated(item, translation)]))
}

function spawned(
  t: ExecutionContext,
  binary: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Running {
  const child: ChildProcess = spawn(binary, args, {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-20_000)
    })
  }
  const exited = once(child, 'close').then(([code]) => code as number | null)
  const killed = () => void child.kill('SIGKILL')
  process.once('exit', killed)
  t.teardown(async () => {
    killed()
    await exited
    process.off('exit', killed)
  })
  return {
    output: () => text,
    stop() {
      child.kill('SIGTERM')
      return exited
    },
  }
}

/** Asks once, as the engine would. `wget` and `pg_isready`, which are in the images, have stand-ins that do the same. */
export async function isHealthy(
  test: readonly string[],
  environment: Readonly<Record<string, string>>,
  databaseUrl: string,
): Promise<boolean> {
  const [kind, program, ...args] = test
  if (kind !== 'CMD') throw new Error(`a health check that is no command: ${test.join(' ')}`)
  try {
    if (program === 'node') await run(process.execPath, args, { env: { ...bareEnvironment, ...environment } })
    else if (program === 'wget') return (await fetch(args.at(-1)!, { signal: AbortSignal.timeout(5000) })).ok
    else if (program === 'pg_isready') await execute(databaseUrl, 'select 1')
    else throw new Error(`no stand-in for ${program}`)
    return true
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('no stand-in')) throw error
    return false
  }
}

const healthLimitMs = 300_000

/** Waits for a container's health, asked for every so often: each time may be a process. Fails with what it printed. */
export async function untilHealthy(
  name: string,
  ask: () => Promise<boolean>,
  output: () => string,
): Promise<void> {
  const deadline = performance.now() + healthLimitMs
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`${name} is not healthy:\n${output()}`)
    await delay(1000)
  }
}
