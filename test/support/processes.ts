import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { ExecutionContext } from 'ava'
import { patientSettings } from './patient-settings.ts'
import { patienceMs } from './until.ts'

export interface TestProcess {
  readonly pid: number
  /** Everything it has printed, on either stream. */
  output(): string
  /** What of that came on standard error. */
  errors(): string
  /** Nobody reads its standard output any more: what it prints from now on ends in a broken pipe. */
  closeOutput(): void
  /** Resolves once it has printed this; rejects, saying what it did print, if it ends first or takes for ever. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
  kill(signal: NodeJS.Signals): void
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

export interface ProcessOptions {
  /** Where it runs; the repository unless told otherwise. */
  readonly cwd?: string
  /** Options of node itself. */
  readonly nodeOptions?: readonly string[]
  /** Arguments of the program. */
  readonly args?: readonly string[]
}

/** What a program of ours needs of the environment. Half of the work of its start is compiling, which is done once. */
export const bareEnvironment = {
  PATH: process.env.PATH,
  NODE_COMPILE_CACHE: resolve('node_modules/.cache/compiled'),
}

/** Runs one of the repository's programs as a user would, and nothing of it outlives the test. */
export function startProcess(
  t: Pick<ExecutionContext, 'teardown'>,
  program: string,
  env: Readonly<Record<string, string>>,
  { cwd = process.cwd(), nodeOptions = [], args = [] }: ProcessOptions = {},
): TestProcess {
  const child = spawn(process.execPath, [...nodeOptions, resolve(program), ...args], {
    cwd,
    env: {
      ...bareEnvironment,
      DATABASE_URL: 'none',
      ...patientSettings,
      // Those of several tests run side by side.
      ...(env.NODE_ENV === 'production' && { ADMIN_PORT: '0' }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return follow(t, program, child, (signal) => void child.kill(signal))
}

/**
 * The newcomer's command, in a process group of its own as a terminal would have it: signals are for the whole group.
 * It has this process's environment.
 */
export function npmStart(
  t: Pick<ExecutionContext, 'teardown'>,
  env: Readonly<Record<string, string>>,
): TestProcess {
  const child = spawn('npm', ['start'], {
    env: { ...process.env, ...patientSettings, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return follow(t, 'npm start', child, (signal) => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, signal)
  })
}

function follow(
  t: Pick<ExecutionContext, 'teardown'>,
  program: string,
  child: ChildProcessByStdio<null, Readable, Readable>,
  kill: (signal: NodeJS.Signals) => void,
): TestProcess {
  let text = ''
  let errors = ''
  let over = false
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      text += chunk
      if (stream === child.stderr) errors += chunk
      child.emit('change')
    })
  }
  const exited = once(child, 'close').then(([code, signal]) => {
    over = true
    child.emit('change')
    return { code, signal }
  })
  t.teardown(async () => {
    kill('SIGKILL')
    await exited
  })
  return {
    pid: child.pid ?? -1,
    output: () => text,
    errors: () => errors,
    closeOutput: () => void child.stdout.destroy(),
    async printed(pattern) {
      const tooLate = AbortSignal.timeout(patienceMs)
      for (;;) {
        const found = pattern.exec(text)
        if (found !== null) return found
        if (over) throw new Error(`${program} ended before it printed ${pattern}:\n${text}`)
        await once(child, 'change', { signal: tooLate }).catch(() => {
          throw new Error(`${program} has not printed ${pattern} within ${patienceMs} ms:\n${text}`)
        })
      }
    },
    kill,
    exited,
  }
}
