import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { ExecutionContext } from 'ava'

export interface TestProcess {
  readonly pid: number
  /** Everything it has printed, on either stream. */
  output(): string
  /** What of that came on standard error. */
  errors(): string
  /** Nobody reads its standard output any more: what it prints from now on ends in a broken pipe. */
  closeOutput(): void
  /** Resolves once it has printed this; rejects if it ends first. */
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
      PATH: process.env.PATH,
      DATABASE_URL: 'none',
      // Those of several tests run side by side.
      ...(env.NODE_ENV === 'production' && { ADMIN_PORT: '0' }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
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
    child.kill('SIGKILL')
    await exited
  })
  return {
    pid: child.pid ?? -1,
    output: () => text,
    errors: () => errors,
    closeOutput: () => void child.stdout.destroy(),
    async printed(pattern) {
      for (;;) {
        const found = pattern.exec(text)
        if (found !== null) return found
        if (over) throw new Error(`${program} ended before it printed ${pattern}:\n${text}`)
        await once(child, 'change')
      }
    },
    kill: (signal) => void child.kill(signal),
    exited,
  }
}
