import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import manifest from '../../package.json' with { type: 'json' }
import { copiesOf, createIgnored, lastOf, readDockerfile } from '../support/dockerfile.ts'
import { startProcess } from '../support/processes.ts'
import { request } from '../support/request.ts'

const { args, stages } = readDockerfile()
const targets = ['gateway', 'auth'] as const

/** What a target has in /app: the files that it copies, and production's packages. */
function layOut(t: ExecutionContext, target: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'munjigi-image-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const { from, to } of copiesOf(stages, target)) cpSync(from, join(folder, to), { recursive: true })
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { dev?: boolean }>
  }
  for (const [path, { dev = false }] of Object.entries(packages)) {
    // What is installed below another package comes with it.
    if (dev || path.lastIndexOf('node_modules/') !== 0 || !existsSync(path)) continue
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    symlinkSync(resolve(path), join(folder, path))
  }
  return folder
}

const commandOf = (target: string, word: string) => {
  const rest = lastOf(stages, target, word) ?? ''
  return JSON.parse(rest.slice(rest.indexOf('['))) as string[]
}

/** Runs what HEALTHCHECK runs; gives its exit code. */
function askHealth(folder: string, target: string, env: Record<string, string>): Promise<number> {
  const [, ...command] = commandOf(target, 'HEALTHCHECK')
  return new Promise((done) => {
    execFile(process.execPath, command, { cwd: folder, env }, (error) =>
      done(error === null ? 0 : Number(error.code)),
    )
  })
}

test('the gateway starts in production from what its target copies, and tells its health', async (t) => {
  const folder = layOut(t, 'gateway')
  const [node, program = ''] = commandOf('gateway', 'CMD')
  t.is(node, 'node')
  const env = { NODE_ENV: 'production', PORT: '0', PUBLIC_URL: 'https://www.jinmini.com', LOG_LEVEL: 'info' }
  const gateway = startProcess(t, join(folder, program), env, { cwd: folder })
  const [, port = ''] = await gateway.printed(/listens on http:\/\/[^:]+:(\d+)/)
  t.is((await request(`http://127.0.0.1:${port}/livez`)).status, 200)
  t.is((await request(`http://127.0.0.1:${port}/docs`)).status, 200)
  t.is(await askHealth(folder, 'gateway', { NODE_ENV: 'production', PORT: port }), 0)
  gateway.kill('SIGTERM')
  t.like(await gateway.exited, { code: 0 })
  t.is(await askHealth(folder, 'gateway', { NODE_ENV: 'production', PORT: port }), 1)
})

test('the auth service starts in production from what its target copies, and tells its health', async (t) => {
  const folder = layOut(t, 'auth')
  const [, program = ''] = commandOf('auth', 'CMD')
  const env = { NODE_ENV: 'production', AUTH_PORT: '0', PUBLIC_URL: 'https://www.jinmini.com' }
  const house = startProcess(t, join(folder, program), env, { cwd: folder })
  const [, port = ''] = await house.printed(/listening on http:\/\/[^:]+:(\d+)/)
  t.is((await request(`http://127.0.0.1:${port}/users`)).status, 200)
  const asked = { ...env, DATABASE_URL: 'none', AUTH_PORT: port }
  t.is(await askHealth(folder, 'auth', asked), 0)
  house.kill('SIGTERM')
  t.like(await house.exited, { code: 0 })
  t.is(await askHealth(folder, 'auth', asked), 1)
})

for (const target of targets) {
  test(`whatever a file of the target ${target} imports, now or later, the target copies too`, (t) => {
    const folder = layOut(t, target)
    const pending = ['CMD', 'HEALTHCHECK'].map((word) => join(folder, commandOf(target, word)[1] ?? ''))
    const seen = new Set<string>()
    for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
      if (seen.has(file)) continue
      seen.add(file)
      if (!existsSync(file)) {
        t.fail(`${relative(folder, file)} is imported and not copied`)
        continue
      }
      const text = readFileSync(file, 'utf8').replace(/^(?:import|export) type [^']*'[^']*'/gm, '')
      for (const [, name = ''] of text.matchAll(/(?:from |import\(|^import |new URL\()'(\.\.?\/[^']+)'/gm)) {
        pending.push(resolve(dirname(file), name))
      }
    }
    t.true(seen.size > 30, `${seen.size} files were followed`)
  })
}

test('every path that the Dockerfile copies is there, and in the build', (t) => {
  const ignored = createIgnored()
  for (const { name } of stages) {
    for (const { from } of copiesOf(stages, name)) {
      t.true(existsSync(from), `${name}: ${from}`)
      if (from !== '.') t.false(ignored(from), `${name}: ${from} is left out by .dockerignore`)
    }
  }
})

test('secrets, data, packages and what only developers need are in no build', (t) => {
  const ignored = createIgnored()
  const outside = [
    ...['.env', '.env.production', '.data/encryption-keys', '.cache/consul', '.git/config'],
    ...['node_modules/koa/package.json', 'services/auth/.env', 'services/auth/node_modules/koa/index.js'],
    ...[
      'src/.data/database',
      'services/tls.key',
      'src/ca.pem',
      'npm-debug.log',
      'id_rsa',
      'something-new.txt',
    ],
    ...[
      'test/journey.test.ts',
      'docs/architecture.md',
      'bench/run.ts',
      'examples/nextjs/package.json',
      'k8s',
      'Dockerfile',
    ],
  ]
  for (const path of outside) t.true(ignored(path), path)
  for (const path of ['src/main.ts', 'services/auth/main.ts', 'package-lock.json'])
    t.false(ignored(path), path)
})

test('every stage begins with the official Node image of the version that the project runs on', (t) => {
  const [, version = ''] =
    /^node:(\d+\.\d+\.\d+)-[a-z]+-slim(?:@sha256:[0-9a-f]{64})?$/.exec(args.get('NODE_IMAGE') ?? '') ?? []
  t.is(version, manifest.devDependencies.node)
  t.is(version.split('.')[0], readFileSync('.node-version', 'utf8').trim().split('.')[0])
  t.regex(manifest.engines.node, new RegExp(`^>=${version.split('.')[0]}\\.`))
  const names = stages.map(({ name }) => name)
  for (const { name, from } of stages) {
    t.true(
      from === '$' + '{NODE_IMAGE}' || names.slice(0, names.indexOf(name)).includes(from),
      `${name}: FROM ${from}`,
    )
  }
})

test('both images run as a numbered user that is not root, by Node alone as process 1', (t) => {
  for (const target of targets) {
    t.regex(lastOf(stages, target, 'USER') ?? '', /^[1-9]\d*:[1-9]\d*$/)
    t.is(lastOf(stages, target, 'ENTRYPOINT'), '[]')
    t.is(commandOf(target, 'CMD')[0], 'node')
    t.true((lastOf(stages, target, 'ENV') ?? '').includes('NODE_ENV=production'))
  }
  t.is(stages.at(-1)?.name, 'gateway', 'a build without a target makes the gateway')
  t.true(readdirSync('.').includes('.dockerignore'))
})
