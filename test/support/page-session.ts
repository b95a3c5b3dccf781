import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { type CommandBlock, outputPattern } from './page-blocks.ts'
import { repositoryFiles } from './repository-files.ts'

/** However busy the machine is. */
const patienceMs = 180_000

/** One reader at one machine: a shell, and beside it the terminals in which something goes on. */
export interface PageSession {
  /** Does what the block says, and fails where that fails or tells something else than the page. */
  run(block: CommandBlock): Promise<void>
}

/**
 * Every command of a page in one shell, in a copy of the repository.
 *
 * @param ports the page's ports, and those that take their place
 */
export async function startPageSession(
  t: ExecutionContext,
  ports: ReadonlyMap<number, number>,
): Promise<PageSession> {
  const home = await mkdtemp(join(tmpdir(), 'munjigi-page-'))
  t.teardown(() => rm(home, { recursive: true, force: true }))
  const folder = join(home, 'munjigi')
  await copyRepository(folder)
  await shadowNpmCi(join(home, 'bin'))
  const terminals = new Map<string, Terminal>()
  const env = {
    PATH: [join(home, 'bin'), process.env.PATH].join(delimiter),
    HOME: home,
    // npm's own lines are not what the pages show.
    npm_config_loglevel: 'silent',
    npm_config_update_notifier: 'false',
    PORT: String(ports.get(8080)),
    AUTH_PORT: String(ports.get(8001)),
    DEMO_PROVIDER_PORT: String(ports.get(8090)),
  }
  const shell = openTerminal(t, ['-s'], { cwd: folder, env })
  shell.process.stdin?.write('set -eo pipefail\n')
  let count = 0

  const here = (text: string) =>
    text.replace(/(?<=[:= (])\d{4}\b/g, (port) => String(ports.get(Number(port)) ?? port))

  /** @returns what it printed on standard output */
  async function inShell({ commands, page, line }: CommandBlock): Promise<string> {
    const name = `block-${++count}`
    const from = shell.output().length
    await writeFile(join(home, name), here(`${commands}\n`))
    shell.process.stdin?.write(`. ../${name} < /dev/null\nprintf '\\n%s done\\n' ${name}\n`)
    const end = `\n${name} done\n`
    if (!(await shell.comes(() => shell.output().includes(end, from)))) {
      const told = `${shell.output().slice(from)}\n${shell.errors()}`
      throw new Error(`${page}:${line}: it fails, or does not end:\n${commands}\n${told}`)
    }
    return shell.output().slice(from, shell.output().indexOf(end, from))
  }

  async function answers(block: CommandBlock): Promise<void> {
    const expected = block.expected === undefined ? undefined : here(block.expected)
    const deadline = Date.now() + patienceMs
    for (;;) {
      const told = await inShell(block)
      if (isAsSaid(told, expected)) return
      if (!block.soon || Date.now() > deadline) {
        throw new Error(
          `${block.page}:${block.line}: expected\n${expected ?? 'no refusal'}\nbut it told:\n${told}`,
        )
      }
      await delay(100)
    }
  }

  async function prints({ page, line }: CommandBlock, by: string, text: string): Promise<void> {
    const terminal = terminals.get(by)
    if (terminal === undefined) throw new Error(`${page}:${line}: nothing called ${by} is running`)
    const wanted = here(text)
    const pattern = outputPattern(wanted, 'other lines')
    if (await terminal.comes(() => pattern.test(terminal.output()))) return
    const told = `${terminal.output()}\n${terminal.errors()}`
    throw new Error(`${page}:${line}: expected\n${wanted}\nbut ${by} printed:\n${told}`)
  }

  return {
    async run(block) {
      const { commands, keepsRunning, printed } = block
      if (keepsRunning === undefined) await answers(block)
      else {
        terminals.set(keepsRunning, openTerminal(t, ['-c', here(commands)], { cwd: folder, env }))
        await prints(block, keepsRunning, block.expected ?? '')
      }
      for (const { by, text } of printed) await prints(block, by, text)
    },
  }
}

/** Where the page shows nothing, it does not mean a refusal: curl is content with those. */
function isAsSaid(told: string, expected: string | undefined): boolean {
  return expected === undefined ? !/"status":[45]\d\d\b/.test(told) : outputPattern(expected).test(told)
}

interface Terminal {
  readonly process: ChildProcess
  output(): string
  errors(): string
  /** Whether it does, before the process ends or patience does. */
  comes(condition: () => boolean): Promise<boolean>
}

function openTerminal(
  t: ExecutionContext,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Terminal {
  // A group of its own: what a shell starts ends with it.
  const child = spawn('bash', args, { ...options, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let over = false
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    child.emit('change')
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  void closed.then(() => {
    over = true
    child.emit('change')
  })
  t.teardown(async () => {
    child.stdin.end()
    if (!over) signalGroup(child, 'SIGTERM')
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), 30_000)
    await closed
    clearTimeout(timer)
  })
  return {
    process: child,
    output: () => output,
    errors: () => errors,
    async comes(condition) {
      const deadline = AbortSignal.timeout(patienceMs)
      while (!condition()) {
        if (over || deadline.aborted) return false
        await once(child, 'change', { signal: deadline }).catch(() => undefined)
      }
      return true
    },
  }
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // It has ended by itself.
  }
}

/** What a clone would have. */
async function copyRepository(folder: string): Promise<void> {
  const names = repositoryFiles()
  for (const each of new Set(names.map((name) => dirname(join(folder, name))))) {
    await mkdir(each, { recursive: true })
  }
  for (const name of names) await copyFile(name, join(folder, name))
  await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'))
}

/** `npm ci` has been run where this runs, and would take away what the copy has only a link to. */
async function shadowNpmCi(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const lines = ['#!/bin/sh', '[ "$1" = ci ] && exit 0', `PATH="\${PATH#*${delimiter}}"`, 'exec npm "$@"']
  await writeFile(join(folder, 'npm'), `${lines.join('\n')}\n`, { mode: 0o755 })
}
