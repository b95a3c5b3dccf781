import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, readdirSync, readFileSync, truncateSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { tied } from './machine.ts'

export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Running {
  readonly pid: number
  /** What it wrote to stderr, for the message when it fails. */
  complaint(): string
  exited(): boolean
  /** Forgets what it logged so far, so that a long bench does not fill the disk. */
  emptyLogs(): void
  stop(): Promise<void>
}

const CLOCK_TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Starts a process tied to a core, in `directory`, with stdout and stderr in files there, as a log collector would. */
export function start(launch: Launch, core: number | undefined, directory: string): Running {
  const [command, args] = tied(launch.command, launch.args, core)
  const stdout = join(directory, 'stdout.log')
  const stderr = join(directory, 'stderr.log')
  const child = spawn(command, args, {
    cwd: directory,
    // Only what a program needs to run: the caller's own settings must not reach a relay.
    env: { PATH: process.env.PATH, HOME: directory, ...launch.env },
    stdio: ['ignore', openSync(stdout, 'a'), openSync(stderr, 'a')],
  })
  child.on('error', () => {})
  return {
    pid: child.pid ?? -1,
    complaint: () => readFileSync(stderr, 'utf8').trim().slice(-2000),
    exited: () => hasExited(child),
    emptyLogs: () => {
      for (const file of readdirSync(directory))
        if (file.endsWith('.log')) truncateSync(join(directory, file))
    },
    stop: () => stop(child),
  }
}

export type LaunchNode = (
  name: string,
  core: number | undefined,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
) => Running

/** Starts Node processes, each in a directory of its own below `root`, and notes them down in `processes`. */
export function createLauncher(root: string, processes: Running[]): LaunchNode {
  return (name, core, args, env) => {
    const directory = join(root, name)
    mkdirSync(directory, { recursive: true })
    const running = start({ command: process.execPath, args, env }, core, directory)
    processes.push(running)
    return running
  }
}

const hasExited = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null

async function stop(child: ChildProcess): Promise<void> {
  if (hasExited(child)) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exit
  clearTimeout(forced)
}

/** CPU seconds, user and system, that a process, its descendants and their reaped children have used. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const member of processTree(pid)) {
    for (const field of statFields(member).slice(11, 15)) ticks += Number(field)
  }
  return ticks / CLOCK_TICKS
}

/** CPU seconds, user, nice and system, that the whole machine has used since it started. */
export function machineCpuSeconds(): number {
  const [, user, nice, system] = readFileSync('/proc/stat', 'utf8').split(/\s+/, 4)
  return (Number(user) + Number(nice) + Number(system)) / CLOCK_TICKS
}

/** Highest resident set, in MiB, summed over the process and its descendants. */
export const peakMemoryMiB = (pid: number): number => statusMiB(pid, 'VmHWM')

/** The resident set now, in MiB, summed over the process and its descendants. */
export const memoryMiB = (pid: number): number => statusMiB(pid, 'VmRSS')

function statusMiB(pid: number, field: string): number {
  let kiB = 0
  for (const member of processTree(pid)) {
    const status = readFileSync(`/proc/${member}/status`, 'utf8')
    kiB += Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0)
  }
  return kiB / 1024
}

/** Fields of /proc/<pid>/stat from the third (state) on: the second is a name that may hold spaces. */
function statFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return [pid, ...(children === '' ? [] : children.split(' ').map(Number).flatMap(processTree))]
}

/** A port of the loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
