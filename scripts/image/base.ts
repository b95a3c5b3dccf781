import { execFile } from 'node:child_process'
import { cp, lstat, mkdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { debianArchives } from '../apt-sources.ts'
import { readAptFiles } from '../debian-package.ts'
import type { Buildah } from './buildah.ts'

const run = promisify(execFile)

/** `node:24.21.0-trixie-slim` of the Dockerfile: the name, and what of it says what is inside. */
export async function readBaseName(dockerfile = 'Dockerfile') {
  const text = await readFile(dockerfile, 'utf8')
  const [, image, version, suite] =
    /^ARG NODE_IMAGE=(node:(\d+\.\d+\.\d+)-([a-z]+)-slim)\S*$/m.exec(text) ?? []
  if (image === undefined || version === undefined || suite === undefined) {
    throw new Error(`${dockerfile}: expected ARG NODE_IMAGE=node:<version>-<suite of Debian>-slim`)
  }
  return { image, version, suite }
}

/**
 * Makes what stands in for the official image, under its name, where none can be pulled: a minimal Debian of the same
 * suite from the machine's own archive, the same version of Node from node_modules, and the npm that runs this script.
 *
 * @throws Error where the archive or the version is not to be had
 */
export async function makeBase(
  buildah: Buildah,
  { image, version, suite }: Awaited<ReturnType<typeof readBaseName>>,
) {
  const node = await realpath('node_modules/node/bin/node')
  const { stdout } = await run(node, ['--version'])
  if (stdout.trim() !== `v${version}`) {
    throw new Error(`the Dockerfile wants Node ${version}, node_modules/node is ${stdout.trim()}`)
  }
  const container = await buildah.command('from', '--name', 'base', 'scratch')
  const root = await buildah.command('mount', container)
  await debootstrap(suite, root)
  await cp(node, join(root, 'usr/local/bin/node'))
  const modules = join(root, 'usr/local/lib/node_modules')
  await mkdir(modules, { recursive: true })
  await cp(await npmFolder(), join(modules, 'npm'), { recursive: true, verbatimSymlinks: true })
  for (const name of ['npm', 'npx']) {
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, 'usr/local/bin', name))
  }
  await run('chroot', [root, 'groupadd', '--gid', '1000', 'node'])
  await run('chroot', [root, 'useradd', '--uid', '1000', '--gid', 'node', '--create-home', 'node'])
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  // The official one starts by a script of its own, and so does this, for the images to show that theirs do not.
  const entrypoint = join(root, 'usr/local/bin/docker-entrypoint.sh')
  await writeFile(entrypoint, '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  await buildah.command(
    ...['config', '--env', `PATH=${path}`, '--env', `NODE_VERSION=${version}`],
    ...['--entrypoint', '["docker-entrypoint.sh"]', '--cmd', '["node"]', container],
  )
  await buildah.command('commit', '--rm', '--format', 'docker', container, `docker.io/library/${image}`)
}

async function debootstrap(suite: string, root: string): Promise<void> {
  const archives = debianArchives(await readAptFiles()).filter(({ uri }) => /^https?:/.test(uri))
  const failures: string[] = []
  for (const { uri, signedBy } of archives) {
    const keyring = signedBy?.startsWith('/') ? signedBy : '/usr/share/keyrings/debian-archive-keyring.gpg'
    try {
      const { stdout: proxy } = await run('sh', [
        '-c',
        'eval "$(apt-config shell P Acquire::http::Proxy)"; printf %s "$P"',
      ])
      await run('debootstrap', ['--variant=minbase', `--keyring=${keyring}`, suite, root, uri], {
        env: { ...process.env, LC_ALL: 'C', ...(proxy !== '' && { http_proxy: proxy }) },
        maxBuffer: 64 * 1024 * 1024,
      })
      return
    } catch (error) {
      const { stdout = '' } = error as { stdout?: string }
      failures.push(stdout.trim().split('\n').at(-1) ?? String(error))
    }
  }
  throw new Error(
    failures.length === 0
      ? "apt's configuration names no Debian archive: --base registry pulls the official image instead"
      : `debootstrap of ${suite} failed: ${failures.join('; ')}`,
  )
}

/** Of the npm that runs this script, or of the one on PATH. */
async function npmFolder(): Promise<string> {
  const given = process.env.npm_execpath
  const cli = given?.endsWith('npm-cli.js')
    ? given
    : (await run('sh', ['-c', 'command -v npm'])).stdout.trim()
  const folder = dirname(dirname(await realpath(cli)))
  await lstat(join(folder, 'bin/npm-cli.js'))
  return folder
}

/**
 * What the build has to know to reach the registry that this machine uses: its address and the authorities that vouch
 * for it. No log-in.
 */
export async function writeNpmrc(file: string): Promise<void> {
  const asked = async (key: string) => (await run('npm', ['config', 'get', key])).stdout.trim()
  const lines = [`registry=${await asked('registry')}`]
  const cafile = await asked('cafile')
  const authorities = cafile === 'null' || cafile === '' ? process.env.NODE_EXTRA_CA_CERTS : cafile
  if (authorities) {
    const text = await readFile(authorities, 'utf8')
    const found = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
    lines.push(...found.map((pem) => `ca[]="${pem.replaceAll('\r', '').replaceAll('\n', '\\n')}"`))
  }
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 })
}
