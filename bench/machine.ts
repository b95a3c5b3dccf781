import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import { delimiter, join } from 'node:path'

/** Which cores the relay and everything else are tied to; undefined where they cannot be told apart. */
export interface Cores {
  readonly relay: number | undefined
  readonly load: number | undefined
}

/** Two different cores that this process may use, if there are two and `taskset` is here to tie processes to them. */
export function findCores(): Cores {
  const allowed = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  const [relay, load] = allowed.split(',').flatMap(expandRange)
  if (relay === undefined || load === undefined || !onPath('taskset'))
    return { relay: undefined, load: undefined }
  return { relay, load }
}

/** The command line that runs a program on that core only, or anywhere for undefined. */
export function tied(command: string, args: readonly string[], core: number | undefined): [string, string[]] {
  return core === undefined ? [command, [...args]] : ['taskset', ['-c', String(core), command, ...args]]
}

function expandRange(range: string): number[] {
  const [first = 0, last = first] = range.split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/** The full path of a program on PATH. */
export function onPath(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path))
}

/** First match of `pattern`'s group in what the program prints of its version; undefined where it is not on PATH. */
export function programVersion(
  program: string,
  args: readonly string[],
  pattern: RegExp,
): string | undefined {
  const path = onPath(program)
  if (!path) return undefined
  // nginx prints its version on stderr.
  const text = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1 || true', path, ...args], { encoding: 'utf8' })
  return pattern.exec(text)?.[1] ?? 'unknown version'
}

/** The version of a package installed in bench/. */
export function packageVersion(name: string): string | undefined {
  const path = new URL(`node_modules/${name}/package.json`, import.meta.url)
  return existsSync(path)
    ? (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
    : undefined
}

/** What the figures were taken on, as lines of text. */
export function describeMachine(cores: Cores): string[] {
  const model = /^model name\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch
  return [
    `CPU: ${model}, ${os.cpus().length} core(s), ${Math.round(os.totalmem() / 2 ** 30)} GiB of memory`,
    `System: ${os.type()} ${os.release()}`,
    `Node: ${process.version}`,
    cores.relay === undefined
      ? 'Cores: relay, load and origin share them (one core, or no taskset): requests per second mean little'
      : `Cores: the relay on core ${cores.relay}, load and origin on core ${cores.load}`,
  ]
}
