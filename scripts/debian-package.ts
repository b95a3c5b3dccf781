import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type AptArchive, debianArchives } from './apt-sources.ts'

const run = promisify(execFile)

export interface DebianPackage {
  readonly name: string
  readonly suite: string
}

/**
 * Fetches one package of Debian and unpacks it into `folder/root`: without root, and with an apt state of its
 * own in `folder`, so that nothing on the machine changes. Mirror, keyring and proxy are the machine's own.
 * Signatures are checked by apt as always: an archive whose key the machine lacks is an error, never trusted.
 *
 * @throws Error saying what is missing or what apt said.
 */
export async function fetchDebianPackage(
  { name, suite }: DebianPackage,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const archives = debianArchives(await readAptFiles())
  if (archives.length === 0) throw new Error("apt's configuration names no Debian archive")
  const failures: string[] = []
  for (const [number, archive] of archives.entries()) {
    const state = join(folder, `apt-${number}`)
    try {
      const environment = await preparePrivateApt(archive, suite, state)
      await apt(['update'], state, environment, signal)
      await apt(['download', `${name}/${suite}`], state, environment, signal)
      const file = (await readdir(state)).find((entry) => entry.endsWith('.deb'))
      if (file === undefined) throw new Error('apt-get download left no package')
      const root = join(folder, 'root')
      await mkdir(root, { recursive: true })
      await run('dpkg-deb', ['-x', join(state, file), root], { signal })
      return root
    } catch (error) {
      failures.push(`${archive.uri}: ${messageOf(error)}`)
    }
  }
  throw new Error(failures.join('; '))
}

/** The files of the machine that say where its packages come from. */
export async function readAptFiles(): Promise<{ name: string; text: string }[]> {
  const parts = '/etc/apt/sources.list.d'
  const names = await readdir(parts).catch(() => [])
  const paths = [
    '/etc/apt/sources.list',
    ...names.filter((name) => /\.(?:list|sources)$/.test(name)).map((name) => join(parts, name)),
  ]
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8').catch(() => '')))
  return paths.map((name, index) => ({ name, text: texts[index] ?? '' }))
}

/** Writes a configuration that reads nothing of the machine's but its keys, proxies and mirror log-ins. */
async function preparePrivateApt(
  archive: AptArchive,
  suite: string,
  state: string,
): Promise<Record<string, string | undefined>> {
  await mkdir(join(state, 'lists/partial'), { recursive: true })
  await mkdir(join(state, 'cache/archives/partial'), { recursive: true })
  await mkdir(join(state, 'sources'))
  await writeFile(join(state, 'status'), '')
  const source = ['Types: deb', `URIs: ${archive.uri}`, `Suites: ${suite}`, 'Components: main']
  if (archive.signedBy !== undefined) source.push(`Signed-By: ${archive.signedBy}`)
  await writeFile(join(state, 'sources/debian.sources'), `${source.join('\n')}\n`)
  // The machine's own parts are not read: their hooks (Post-Invoke) would clean up the machine's caches.
  const settings = [
    ...(await machineNetworkSettings()),
    ...Object.entries({
      'Dir::Etc::main': '/dev/null',
      'Dir::Etc::parts': '/dev/null',
      'Dir::Etc::preferences': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'Dir::Etc::sourcelist': '/dev/null',
      'Dir::Etc::sourceparts': join(state, 'sources'),
      'Dir::State': state,
      'Dir::State::lists': join(state, 'lists'),
      'Dir::State::status': join(state, 'status'),
      'Dir::Cache': join(state, 'cache'),
      'Acquire::Languages': 'none',
      'Acquire::http::Timeout': '15',
      'Acquire::https::Timeout': '15',
      // As root, apt would hand the download to a user who cannot write into this folder.
      'APT::Sandbox::User': 'root',
    }).map(([key, value]) => `${key} "${value}";`),
  ]
  const configuration = join(state, 'apt.conf')
  await writeFile(configuration, `${settings.join('\n')}\n`)
  return { ...process.env, APT_CONFIG: configuration, LC_ALL: 'C' }
}

async function machineNetworkSettings(): Promise<string[]> {
  const { stdout } = await run('apt-config', ['dump', 'Acquire'])
  const wanted =
    /^Acquire::(?:https?::.*|Retries|ForceIPv[46]|Check-Date|Check-Valid-Until|Max-FutureTime) "/i
  return stdout.split('\n').filter((line) => wanted.test(line))
}

async function apt(
  args: readonly string[],
  cwd: string,
  env: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<void> {
  // APT::Update::Error-Mode: an archive that does not answer is an error, not a warning.
  await run('apt-get', ['-q', '-o', 'APT::Update::Error-Mode=any', ...args], { cwd, env, signal })
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'AbortError') return 'took too long'
  const { stderr, code } = error as Error & { stderr?: string; code?: unknown }
  if (code === 'ENOENT') return `${error.message.replace('spawn ', '').replace(' ENOENT', '')} is not on PATH`
  const lines = (stderr ?? '').split('\n').filter((line) => /^[EW]:/.test(line))
  return lines.slice(0, 3).join(' ') || error.message
}
