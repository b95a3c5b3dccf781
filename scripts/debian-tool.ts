import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type DebianPackage, fetchDebianPackage } from './debian-package.ts'

const run = promisify(execFile)

export type ToolFinding = { readonly binary: string } | { readonly unavailable: string }

/** A program that tests want to have. */
export interface Tool {
  /** On PATH. */
  readonly name: string
  readonly package: DebianPackage
  /** Where the package has it, as `usr/bin/consul`. */
  readonly path: string
  /** Asks it for its version, and what it says then. */
  readonly version: { readonly argument: string; readonly said: RegExp }
}

const cacheFolder = resolve(import.meta.dirname, '../.cache')
/** A fetch takes some ten seconds on a good line. */
const fetchLimitMs = 90_000
/** A failed fetch is remembered so long, so that a row of test files does not wait for it one by one. */
const failureStandsMs = 60_000

/**
 * Finds a program that runs here: on PATH, else in the project's cache, else in Debian's package, fetched into the
 * cache. Processes that ask at once fetch it once. Never rejects: the reason why there is none comes back.
 */
export async function findDebianTool(tool: Tool, caches = cacheFolder): Promise<ToolFinding> {
  try {
    for (const folder of (process.env.PATH ?? '').split(delimiter).filter(Boolean)) {
      const binary = join(folder, tool.name)
      if (await runs(tool, binary)) return { binary }
    }
    return await inCache(tool, join(caches, tool.name))
  } catch (error) {
    return { unavailable: error instanceof Error ? error.message : String(error) }
  }
}

async function inCache(tool: Tool, cache: string): Promise<ToolFinding> {
  const binary = join(cache, 'root', tool.path)
  if (await runs(tool, binary)) return { binary }
  await mkdir(cache, { recursive: true })
  const release = await lock(join(cache, 'lock'))
  try {
    if (await runs(tool, binary)) return { binary }
    const failure = await recentFailure(cache)
    if (failure !== undefined) return { unavailable: failure }
    return await fetchInto(tool, cache, binary)
  } finally {
    await release()
  }
}

async function fetchInto(tool: Tool, cache: string, binary: string): Promise<ToolFinding> {
  for (const entry of await readdir(cache)) {
    if (entry.startsWith('fetch-')) await rm(join(cache, entry), { recursive: true, force: true })
  }
  const workplace = await mkdtemp(join(cache, 'fetch-'))
  try {
    const root = await fetchDebianPackage(tool.package, workplace, AbortSignal.timeout(fetchLimitMs))
    await rm(join(cache, 'root'), { recursive: true, force: true })
    await rename(root, join(cache, 'root'))
    if (await runs(tool, binary)) return { binary }
    throw new Error('the package was fetched, but its binary does not run here')
  } catch (error) {
    const said = error instanceof Error ? error.message : error
    const reason = `no ${tool.name} on PATH, and Debian's package could not be had: ${said}`
    await writeFile(join(cache, 'failure'), reason)
    return { unavailable: reason }
  } finally {
    await rm(workplace, { recursive: true, force: true })
  }
}

async function runs({ version }: Tool, binary: string): Promise<boolean> {
  try {
    await stat(binary)
    const { stdout } = await run(binary, [version.argument], { timeout: 20_000 })
    return version.said.test(stdout)
  } catch {
    return false
  }
}

async function recentFailure(cache: string): Promise<string | undefined> {
  try {
    const file = join(cache, 'failure')
    const { mtimeMs } = await stat(file)
    return Date.now() - mtimeMs < failureStandsMs ? await readFile(file, 'utf8') : undefined
  } catch {
    return undefined
  }
}

/**
 * Takes the lock file, waiting for its holder; a lock whose process is gone, or that is older than any fetch,
 * is taken over. Should two take it over at once they both fetch, and the rename keeps that harmless.
 */
async function lock(file: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' })
      return () => rm(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    if (await isStale(file)) await rm(file, { force: true })
    else await sleep(200)
  }
}

async function isStale(file: string): Promise<boolean> {
  try {
    const [{ mtimeMs }, text] = await Promise.all([stat(file), readFile(file, 'utf8')])
    if (Date.now() - mtimeMs > fetchLimitMs + 10_000) return true
    if (text !== '') process.kill(Number(text), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
