import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Buildah, ImageConfig } from './buildah.ts'

/** A process of an image that runs. */
export interface Running {
  /** Asks until it answers 200; gives how long that was since its start. */
  answers(url: string): Promise<number>
  /** The user and the number that the process has for itself. */
  identity(): { readonly user: number; readonly group: number; readonly pid: number }
  /** SIGTERM, as an orchestrator sends it; gives the exit code, and after how long. */
  stop(): Promise<{ readonly code: number | null; readonly ms: number }>
  output(): string
}

export interface Opened {
  readonly container: string
  readonly root: string
  readonly config: ImageConfig
}

/** A slow machine takes long to load everything for the first time. */
const startLimitMs = 120_000

/** By buildah, with the image's own command, user and environment. */
export function runContainer(
  buildah: Buildah,
  { container, config }: Opened,
  variables: Readonly<Record<string, string>>,
): Running {
  return follow(buildah.spawn(container, variables, [...(config.Entrypoint ?? []), ...config.Cmd]))
}

/**
 * As an orchestrator runs it that has `readOnlyRootFilesystem`: the root mounted read-only, process 1 of its own
 * namespace, no privileges to be had; /tmp in memory, and /data a volume.
 */
export function runReadOnly(
  { root, config }: Opened,
  data: string,
  variables: Readonly<Record<string, string>>,
): Running {
  const script = `
    set -e
    root=$1 data=$2 folder=$3 user=$4; shift 4
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
    mount --bind "$data" "$root/data"
    mount -o remount,bind,ro "$root"
    exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" env -C "$folder" -- "$@"`
  const given = [
    'script',
    root,
    data,
    config.WorkingDir,
    config.User,
    ...(config.Entrypoint ?? []),
    ...config.Cmd,
  ]
  const own = Object.fromEntries(
    config.Env.map((line) => [line.split('=', 1)[0]!, line.slice(line.indexOf('=') + 1)]),
  )
  return follow(
    spawn(
      'unshare',
      ['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', 'sh', '-c', script, ...given],
      { env: { ...own, ...variables }, stdio: ['ignore', 'pipe', 'pipe'] },
    ),
  )
}

function follow(child: ChildProcess): Running {
  const startedAt = performance.now()
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = once(child, 'close').then(([code]) => code as number | null)
  // Whatever becomes of this script, nothing of it stays.
  process.once('exit', () => child.kill('SIGKILL'))

  return {
    output: () => output,
    async answers(url) {
      while (performance.now() - startedAt < startLimitMs) {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${output}`)
        const status = await fetch(url, { signal: AbortSignal.timeout(5000) }).then(
          async (reply) => {
            await reply.text()
            return reply.status
          },
          () => 0,
        )
        if (status === 200) return performance.now() - startedAt
        await sleep(20)
      }
      throw new Error(`${url} does not answer 200:\n${output}`)
    },
    identity() {
      const status = readFileSync(`/proc/${programOf(child)}/status`, 'utf8')
      const numbers = (name: string) =>
        (new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '').split(/\s+/).map(Number)
      // The last number is that of the innermost namespace.
      return { user: numbers('Uid')[1]!, group: numbers('Gid')[1]!, pid: numbers('NSpid').at(-1)! }
    },
    async stop() {
      const askedAt = performance.now()
      process.kill(programOf(child), 'SIGTERM')
      const code = await exited
      return { code, ms: performance.now() - askedAt }
    },
  }
}

/** The program itself below buildah's or unshare's processes: the first that is Node. */
function programOf(child: ChildProcess): number {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), parentOf(name))
  }
  let level = [child.pid ?? 0]
  while (level.length > 0) {
    const program = level.find(isNode)
    if (program !== undefined) return program
    level = [...parents].flatMap(([pid, parent]) => (level.includes(parent) ? [pid] : []))
  }
  throw new Error('the program is not there any more')
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}

function isNode(pid: number): boolean {
  try {
    return /^(?:[^\0]*\/)?node\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'))
  } catch {
    return false
  }
}
