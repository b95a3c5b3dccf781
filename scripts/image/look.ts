import type { Stats } from 'node:fs'
import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The user that the images run as. */
export const userId = 1000

/** Bytes of all files below a folder. */
export async function sizeOf(folder: string): Promise<number> {
  let bytes = 0
  for await (const { stats } of walk(folder)) if (stats.isFile()) bytes += stats.size
  return bytes
}

/** What the user may write: paths below `root`, of a folder only the topmost. */
export async function writableBy(root: string, user: number): Promise<string[]> {
  const found: string[] = []
  for await (const { path, stats } of walk(root)) {
    const isIn = found.some((folder) => path.startsWith(`${folder}/`))
    if (!isIn && !stats.isSymbolicLink() && maySet(stats, user)) found.push(path)
  }
  return found
}

function maySet({ uid, gid, mode }: Stats, user: number): boolean {
  if (uid === user) return (mode & 0o200) !== 0
  return (mode & (gid === user ? 0o020 : 0o002)) !== 0
}

async function* walk(root: string, below = ''): AsyncGenerator<{ path: string; stats: Stats }> {
  for (const name of await readdir(join(root, below))) {
    const path = `${below}/${name}`
    // The kernel's, which are not of the image.
    if (path === '/proc' || path === '/sys' || path === '/dev') continue
    const stats = await lstat(join(root, path))
    yield { path, stats }
    if (stats.isDirectory()) yield* walk(root, path)
  }
}

const programs = [
  ...['npm', 'npx', 'yarn', 'yarnpkg', 'pnpm', 'corepack'],
  ...['gcc', 'g++', 'cc', 'make', 'python3', 'git', 'curl', 'wget'],
]

/** Programs that install, build or fetch. */
export async function findTools(root: string): Promise<string[]> {
  const folders = ['usr/local/bin', 'usr/local/sbin', 'usr/bin', 'usr/sbin', 'app/node_modules/.bin']
  const names = await Promise.all(folders.map((folder) => readdir(join(root, folder)).catch(() => [])))
  return names
    .flat()
    .filter((name) => programs.includes(name.replace(/-?[\d.]+$/, '')) || programs.includes(name))
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>
}

/** What of node_modules is there and should not be, and what should be there and is not, by the lock file. */
export async function compareModules(root: string, lockFile = 'package-lock.json') {
  const { packages } = JSON.parse(await readFile(lockFile, 'utf8')) as LockFile
  const extra: string[] = []
  const missing: string[] = []
  for (const [path, { dev = false, optional = false }] of Object.entries(packages)) {
    if (path === '') continue
    const isThere = await lstat(join(root, 'app', path)).then(
      () => true,
      () => false,
    )
    if (isThere && dev) extra.push(path)
    if (!isThere && !dev && !optional) missing.push(path)
  }
  return { extra, missing }
}
