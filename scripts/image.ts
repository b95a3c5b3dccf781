import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import manifest from '../package.json' with { type: 'json' }
import { makeBase, readBaseName, writeNpmrc } from './image/base.ts'
import { createBuildah, removeWorkplace, storageDriver } from './image/buildah.ts'
import { type Opened, type Running, runContainer, runReadOnly } from './image/container.ts'
import { compareModules, findTools, sizeOf, userId, writableBy } from './image/look.ts'

const usage = `npm run image -- [--base local|registry] [--keep]
  Builds the images of the Dockerfile and runs them: by buildah, without a container engine. Exits 1 if anything is off.
  It wants Debian, root, and 5 GB below the temporary folder; buildah and debootstrap are installed by apt where
  they are missing. STORAGE_DRIVER=overlay is quicker than vfs, where the file system permits it.
  --base local     on a base made here under the official name: debootstrap, and Node of node_modules (the default)
  --base registry  on the official image, pulled
  --keep           leaves the images, and says where`

/** What an orchestrator grants after SIGTERM; the gateway wants DRAIN_DELAY and DRAIN_TIMEOUT of it, 15 s. */
const graceMs = 30_000
const welcome = '{"message":"Welcome from AUTH service"}'
let failures = 0

await main()

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      base: { type: 'string', default: 'local' },
      keep: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help || !['local', 'registry'].includes(values.base)) {
    console.log(usage)
    process.exitCode = values.help ? 0 : 2
    return
  }
  if (process.getuid?.() !== 0) throw new Error(`root is needed: files of other users are made\n\n${usage}`)
  install(values.base === 'local' ? ['buildah', 'debootstrap'] : ['buildah'])
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-image-'))
  process.once('SIGINT', () => process.exit(130))
  try {
    await buildAndTry(folder, values.base)
  } finally {
    if (values.keep)
      console.log(
        `kept: buildah --root ${folder}/storage --runroot ${folder}/runroot --storage-driver ${storageDriver}`,
      )
    else await removeWorkplace(folder)
  }
  console.log(failures === 0 ? 'all is as it should be' : `${failures} findings`)
  process.exitCode = failures === 0 ? 0 : 1
}

function install(names: readonly string[]): void {
  const missing = names.filter((name) => !existsSync(`/usr/bin/${name}`) && !existsSync(`/usr/sbin/${name}`))
  if (missing.length === 0) return
  tell(`apt installs ${missing.join(', ')}`)
  execFileSync('apt-get', ['-qq', 'update'], { stdio: 'inherit' })
  execFileSync('apt-get', ['-qq', 'install', '--yes', '--no-install-recommends', ...missing], {
    stdio: 'ignore',
  })
}

async function buildAndTry(folder: string, from: string): Promise<void> {
  const buildah = createBuildah(folder)
  const name = await readBaseName()
  await timed(from === 'local' ? `base ${name.image} made` : `base ${name.image} pulled`, () =>
    from === 'local' ? makeBase(buildah, name) : buildah.command('pull', `docker.io/library/${name.image}`),
  )
  const npmrc = join(folder, 'npmrc')
  await writeNpmrc(npmrc)
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()
  const labels = {
    VERSION: manifest.version,
    REVISION: git('rev-parse', 'HEAD'),
    CREATED: new Date().toISOString(),
  }
  for (const target of ['gateway', 'auth']) {
    await timed(`munjigi-${target} built`, () =>
      buildah.command(
        ...['bud', '--isolation', 'chroot', '--format', 'docker', '--pull-never'],
        ...['--target', target, '--tag', `munjigi-${target}`, '--secret', `id=npmrc,src=${npmrc}`],
        ...Object.entries(labels).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
        '.',
      ),
    )
  }
  const base = await buildah.open(`docker.io/library/${name.image}`, 'look-base')
  const baseBytes = await sizeOf(base.root)
  const opened = {
    gateway: await buildah.open('localhost/munjigi-gateway', 'gateway'),
    auth: await buildah.open('localhost/munjigi-auth', 'auth'),
  }
  for (const [target, image] of Object.entries(opened)) await lookOver(target, image, baseBytes, labels)
  const { variables, urls } = await settings()
  const run = (target: 'gateway' | 'auth', more = {}) =>
    runContainer(buildah, opened[target], { ...variables[target], ...more })
  await tryTogether('buildah run', run('auth'), run('gateway'), urls, async () => {
    await tokens(urls.gateway, variables.auth)
    for (const target of ['gateway', 'auth'] as const) {
      const [, ...probe] = opened[target].config.Healthcheck?.Test ?? []
      const asked = buildah.spawn(opened[target].container, variables[target], probe)
      const code = await new Promise((resolve) => asked.on('close', resolve))
      check(code === 0, `${target}: HEALTHCHECK (${probe.join(' ')}) exits ${code}`)
    }
  })
  const readOnly = async (target: 'gateway' | 'auth', more = {}) => {
    const data = join(folder, `data-${target}`)
    await mkdir(data)
    await chown(data, userId, userId)
    return runReadOnly(opened[target], data, { ...variables[target], ...more })
  }
  const [auth, gateway] = [await readOnly('auth'), await readOnly('gateway')]
  await tryTogether('read-only, process 1', auth, gateway, urls, () => tokens(urls.gateway, variables.auth))
  const without = { DATABASE_URL: 'none', DATA_DIR: '' }
  const crew = runReadOnly(opened.gateway, join(folder, 'data-gateway'), {
    ...variables.gateway,
    ...without,
    WORKERS: '2',
  })
  await tryAlone('read-only, process 1, WORKERS=2', 'gateway', crew, `${urls.gateway}/readyz`)
  await stop('read-only, process 1, WORKERS=2', 'gateway', crew)
}

async function lookOver(
  target: string,
  { root, config }: Opened,
  baseBytes: number,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const bytes = await sizeOf(root)
  const above = await sizeOf(join(root, 'app'))
  tell(`${target}: ${mb(bytes)} on the disk, of them ${mb(above)} in /app; the base has ${mb(baseBytes)}`)
  check(config.User === `${userId}:${userId}`, `${target}: user ${config.User}`)
  check(
    (config.Entrypoint ?? []).length === 0,
    `${target}: starts ${config.Cmd.join(' ')}, without an entry point before it`,
  )
  check(config.Env.includes('NODE_ENV=production'), `${target}: NODE_ENV=production`)
  const version = config.Labels?.['org.opencontainers.image.version']
  check(version === labels.VERSION, `${target}: label version ${version}`)
  const writable = await writableBy(root, userId)
  const odd = writable.filter(
    (path) => !/^\/(?:data|home\/node|tmp|run\/lock|var\/tmp|var\/lock)$/.test(path),
  )
  check(
    odd.length === 0,
    `${target}: the user may write ${writable.join(', ')}${odd.length > 0 ? '; too much' : ''}`,
  )
  const tools = await findTools(root)
  check(tools.length === 0, `${target}: programs that install, build or fetch: ${tools.join(', ') || 'none'}`)
  const { extra, missing } = await compareModules(root)
  check(extra.length === 0, `${target}: development dependencies: ${extra.slice(0, 5).join(', ') || 'none'}`)
  check(missing.length === 0, `${target}: missing dependencies: ${missing.slice(0, 5).join(', ') || 'none'}`)
}

/** Production's, as somebody would set them who has one machine and no PostgreSQL. */
async function settings() {
  const [port, admin, house] = [await freePort(), await freePort(), await freePort()]
  const secret = randomBytes(24).toString('base64url')
  const urls = { gateway: `http://127.0.0.1:${port}`, auth: `http://127.0.0.1:${house}` }
  const common = {
    PUBLIC_URL: 'https://www.jinmini.com',
    DATA_DIR: '/data',
    ENCRYPTION_KEYS: `first:${randomBytes(32).toString('base64')}`,
  }
  const client = { AUTH_CLIENT_ID: 'auth', AUTH_CLIENT_SECRET: secret }
  return {
    urls,
    variables: {
      gateway: {
        ...common,
        ...{ PORT: String(port), ADMIN_PORT: String(admin), AUTH_SERVICE_URL: urls.auth },
        ...{ GATEWAY_CLIENTS: `auth:${secret}`, LOG_LEVEL: 'warn' },
      },
      auth: { ...common, ...client, AUTH_PORT: String(house), GATEWAY_URL: urls.gateway },
    },
  }
}

async function tryTogether(
  way: string,
  auth: Running,
  gateway: Running,
  urls: { readonly gateway: string; readonly auth: string },
  meanwhile: () => Promise<void>,
): Promise<void> {
  await tryAlone(way, 'auth', auth, `${urls.auth}/health`)
  await tryAlone(way, 'gateway', gateway, `${urls.gateway}/livez`)
  await gateway.answers(`${urls.gateway}/readyz`)
  const reply = await (await fetch(`${urls.gateway}/api/users`)).text()
  check(reply === welcome, `${way}: GET /api/users ${reply}`)
  await meanwhile()
  await stop(way, 'gateway', gateway)
  await stop(way, 'auth', auth)
}

async function tryAlone(way: string, target: string, running: Running, url: string): Promise<void> {
  const ms = await running.answers(url)
  const { user, group, pid } = running.identity()
  const who = `user ${user}, group ${group}, process ${pid}`
  check(
    user === userId && group === userId,
    `${way}: ${target} answers ${new URL(url).pathname} after ${ms.toFixed(0)} ms; ${who}`,
  )
}

async function stop(way: string, target: string, running: Running): Promise<void> {
  const { code, ms } = await running.stop()
  const isGood = code === 0 && ms < graceMs
  check(isGood, `${way}: ${target} exits ${code} ${(ms / 1000).toFixed(1)} s after SIGTERM`)
  if (!isGood) console.log(running.output())
}

async function tokens(
  gateway: string,
  { AUTH_CLIENT_ID: id, AUTH_CLIENT_SECRET: secret }: { AUTH_CLIENT_ID: string; AUTH_CLIENT_SECRET: string },
) {
  const post = (path: string, body: object, headers = {}) =>
    fetch(`${gateway}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const basic = { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
  const created = await post('/tokens/create', { subject: 'somebody', scope: 'profile' }, basic)
  await created.text()
  check(created.status === 200, `POST /tokens/create: ${created.status}`)
  const account = { email: 'minji@example.com', password: 'correct horse battery' }
  await post('/api/user/signup', account)
  const login = (await (await post('/api/user/login', account)).json()) as { access_token?: string }
  const me = await fetch(`${gateway}/api/user/me`, {
    headers: { authorization: `Bearer ${login.access_token}` },
  })
  check(me.status === 200, `sign-up, login, GET /api/user/me: ${me.status}`)
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const startedAt = performance.now()
  await work()
  tell(`${what} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
}

function check(isGood: boolean, line: string): void {
  if (!isGood) failures += 1
  console.log(`${isGood ? 'ok  ' : 'FAIL'} ${line}`)
}

function tell(line: string): void {
  console.log(`     ${line}`)
}

function mb(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
