import { execFile, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** vfs works on every file system, at the price of a copy for each layer. */
export const storageDriver = process.env.STORAGE_DRIVER ?? 'vfs'

/** What an image says of itself; Docker's form, since OCI's has no health check. */
export interface ImageConfig {
  readonly User: string
  readonly Cmd: readonly string[]
  readonly Entrypoint?: readonly string[] | null
  readonly Env: readonly string[]
  readonly WorkingDir: string
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly Healthcheck?: { readonly Test: readonly string[] }
  readonly ExposedPorts?: Readonly<Record<string, unknown>>
}

export type Buildah = ReturnType<typeof createBuildah>

/** buildah with a storage of its own in `folder`, without a daemon and without namespaces of the container's own. */
export function createBuildah(folder: string) {
  const own = [
    '--root',
    join(folder, 'storage'),
    '--runroot',
    join(folder, 'runroot'),
    '--storage-driver',
    storageDriver,
  ]
  const env = { ...process.env, BUILDAH_ISOLATION: 'chroot' }
  mkdirSync(join(folder, 'tmp'), { recursive: true })

  /** Runs one command to its end; rejects with the last that it said. */
  async function command(...args: readonly string[]): Promise<string> {
    try {
      const options = { env: { ...env, TMPDIR: join(folder, 'tmp') }, maxBuffer: 64 * 1024 * 1024 }
      return (await run('buildah', [...own, ...args], options)).stdout.trim()
    } catch (error) {
      const { stderr = '', stdout = '', message } = error as Error & { stderr?: string; stdout?: string }
      const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-25).join('\n')
      throw new Error(`buildah ${args[0]} failed:\n${said || message}`, { cause: error })
    }
  }

  return {
    command,
    /** A container of this image, and where its files are. */
    async open(
      image: string,
      name: string,
    ): Promise<{ container: string; root: string; config: ImageConfig }> {
      const container = await command('from', '--pull-never', '--name', name, image)
      const inspected = JSON.parse(await command('inspect', container)) as {
        Docker: { config: ImageConfig }
      }
      return { container, root: await command('mount', container), config: inspected.Docker.config }
    },
    /** Starts a program in a container, as its user and with its environment. */
    spawn(container: string, variables: Readonly<Record<string, string>>, program: readonly string[]) {
      const given = Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`])
      const args = [...own, 'run', '--isolation', 'chroot', ...given, container, '--', ...program]
      return spawn('buildah', args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    },
  }
}

/** Removes the folder, unless something is still mounted in it that is not its own. */
export async function removeWorkplace(folder: string): Promise<void> {
  for (const point of await mountsIn(folder)) await run('umount', ['--lazy', point])
  const left = await mountsIn(folder)
  if (left.length > 0) throw new Error(`${left[0]} is still mounted: ${folder} is left as it is`)
  await rm(folder, { recursive: true, force: true })
}

async function mountsIn(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  return lines
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${folder}/`))
    .reverse()
}
