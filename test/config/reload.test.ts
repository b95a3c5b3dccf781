import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { RoutingConfig } from '../../src/config/config.ts'
import { openConfig } from '../../src/config/load.ts'
import { createReloader } from '../../src/config/reload.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { configFolder } from '../support/config.ts'
import { recordedLog } from '../support/hand-source.ts'

const auth = 'services:\n  auth: { urls: http://a:1, path: /a }\n'

/** A reloader that is asked by hand, and what it has handed on. */
function reloader(t: ExecutionContext, yaml: string | undefined, env: Readonly<Record<string, string>> = {}) {
  const cwd = configFolder(t, yaml === undefined ? {} : { yaml })
  const path = join(cwd, env.GATEWAY_CONFIG ?? 'gateway.yaml')
  const { config, file } = openConfig({
    env: { DATABASE_URL: 'none', ...env },
    cwd,
    sources: discoverySources,
  })
  const applied: RoutingConfig[] = []
  const log = recordedLog()
  const routing = { ...config, sources: config.discovery.sources }
  const made = createReloader({ file, routing, apply: (next) => applied.push(next), log })
  const write = (text: string) => {
    writeFileSync(path, text)
    return made.reload()
  }
  return { ...made, write, path, cwd, applied, log, routing }
}

test('at the start the file is current, and nothing has been handed on', (t) => {
  const { status, applied } = reloader(t, auth)
  t.like(status(), { state: 'current', version: 1, lastError: undefined })
  t.deepEqual(applied, [])
})

test('a good change is handed on whole', async (t) => {
  const { write, status, applied, routing } = reloader(t, auth)
  await write(`${auth}  carts: { path: /carts, auth: none }\n`)
  t.like(status(), { state: 'current', version: 2 })
  t.deepEqual(applied[0]?.services.get('carts'), { path: ['/carts'], auth: 'none' })
  t.true(Object.isFrozen(applied[0]?.services.get('carts')))
  // The URLs are the same: so is the source.
  t.is(applied[0]?.sources, routing.sources)
  t.is(applied[0]?.services.get('auth'), routing.services.get('auth'))
})

test('other URLs are another setting of the static source, which is checked like at a start', async (t) => {
  const { write, status, applied, log } = reloader(t, auth)
  await write(auth.replace('a:1', 'a:2'))
  t.regex(JSON.stringify(applied[0]?.sources[0]?.options), /http:\/\/a:2/)
  await write(auth.replace('http://a:1', 'srv+http://a'))
  t.is(applied.length, 1)
  t.is(status().state, 'rejected')
  t.regex(
    log.lines.find(({ level }) => level === 'error')?.message ?? '',
    /gateway\.yaml:2:17 services\.auth/,
  )
})

test('a bad change is not handed on, and each fault is a line with its place', async (t) => {
  const { write, status, applied, log } = reloader(t, auth)
  await write('services:\n  auth: { urls: http://a:1, path: a, retries: 99 }\n')
  t.deepEqual(applied, [])
  t.like(status(), { state: 'rejected', version: 1 })
  t.regex(status().lastError ?? '', /2:35 services\.auth\.path.*2:47 services\.auth\.retries/)
  const errors = log.lines.filter(({ level }) => level === 'error')
  t.deepEqual(
    errors.map(({ fields }) => fields),
    [
      { file: 'gateway.yaml', line: 2, column: 35, key: 'services.auth.path' },
      { file: 'gateway.yaml', line: 2, column: 47, key: 'services.auth.retries' },
    ],
  )
  t.regex(errors[1]?.message ?? '', /: found 99, expected a whole number from 0 to 10$/)
})

test('a file that is mended is current again, as it was or otherwise', async (t) => {
  const { write, status, applied } = reloader(t, auth)
  await write('services: [')
  await write(auth)
  t.like(status(), { state: 'current', version: 1, lastError: undefined })
  t.deepEqual(applied, [])
  await write('services: [')
  await write(auth.replace('/a }', '/b }'))
  t.like(status(), { state: 'current', version: 2, lastError: undefined })
})

test('a file that goes leaves what it said in force, and that is said', async (t) => {
  const { reload, path, status, applied, log } = reloader(t, auth)
  rmSync(path)
  await reload()
  t.deepEqual(applied, [])
  t.is(status().state, 'rejected')
  t.regex(log.lines.at(-1)?.message ?? '', /what was in force stays/)
  writeFileSync(path, auth)
  await reload()
  t.is(status().state, 'current')
})

test('a file that was not there at the start may come', async (t) => {
  const { write, reload, status, applied } = reloader(t, undefined)
  await reload()
  t.like(status(), { state: 'current', version: 1 })
  await write(auth)
  t.like(status(), { state: 'current', version: 2 })
  t.deepEqual([...(applied[0]?.urls.keys() ?? [])], ['auth'])
})

test('a file that is emptied takes no route away; one that says there are none does', async (t) => {
  const { write, status, applied } = reloader(t, auth)
  await write('\n')
  t.deepEqual(applied, [])
  t.regex(status().lastError ?? '', /an empty file/)
  await write('services: {}\n')
  t.is(status().state, 'current')
  t.is(applied[0]?.services.size, 0)
})

for (const [what, text] of [
  ['has nothing but comments', '# services:\n#   auth: { urls: http://a:1 }\n'],
  ['is null', '~\n'],
  ['has a mapping without services', '{}\n'],
  ['has nothing below services', 'services:\n'],
] as const) {
  test(`a file that ${what} takes no route away`, async (t) => {
    const { write, status, applied } = reloader(t, auth)
    await write(text)
    t.deepEqual(applied, [])
    t.regex(status().lastError ?? '', /says nothing of services, expected services; `services: \{\}` where/)
  })
}

test('a file that says nothing of services is taken over where it had none', async (t) => {
  const { write, status } = reloader(t, 'services: {}\n', { AUTH_SERVICE_URL: 'http://env:1' })
  await write('# later\n')
  t.like(status(), { state: 'current', version: 2 })
})

test('what has taken the place of the file and is none is not read when somebody asks', async (t) => {
  const { reload, path, status, applied } = reloader(t, auth)
  rmSync(path)
  symlinkSync('/dev/null', path)
  await reload()
  t.deepEqual(applied, [])
  t.regex(status().lastError ?? '', /cannot be read \(no regular file\)/)
})

test('a pipe is read at the start, and not followed', async (t) => {
  const cwd = configFolder(t)
  const path = join(cwd, 'pipe')
  execFileSync('mkfifo', [path])
  const writer = spawn('sh', ['-c', 'printf %s "$0" > "$1"', auth, path])
  t.teardown(() => writer.kill())
  await once(writer, 'spawn')
  const { config, file } = openConfig({
    env: { DATABASE_URL: 'none', GATEWAY_CONFIG: path },
    cwd,
    sources: discoverySources,
  })
  t.deepEqual([...config.services.keys()], ['auth'])
  const log = recordedLog()
  const routing = { ...config, sources: config.discovery.sources }
  const { start, stop, status } = createReloader({ file, routing, apply: () => t.fail(), log })
  t.teardown(stop)
  start()
  t.regex(log.lines[0]?.message ?? '', /pipe is no regular file: it was read once, and is not followed$/)
  t.is(status().state, 'current')
})

test('placeholders stand for what they stood for at the start, whatever .env says by now', async (t) => {
  const { write, cwd, applied, status } = reloader(t, auth, { PLACE: '/from-start' })
  writeFileSync(join(cwd, '.env'), 'PLACE=/from-later\nLATER=/x\n')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders of gateway.yaml look like that
  await write(auth.replace('/a }', '"${PLACE}" }'))
  t.deepEqual(applied[0]?.services.get('auth')?.path, ['/from-start'])
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders of gateway.yaml look like that
  await write(auth.replace('/a }', '"${LATER}" }'))
  t.regex(status().lastError ?? '', /the environment variable LATER to be set/)
})

test('<NAME>_SERVICE_URL wins over the changed file as it did over the first one', async (t) => {
  const { write, applied } = reloader(t, auth, { AUTH_SERVICE_URL: 'http://env:1' })
  await write(auth.replace('a:1', 'a:2'))
  t.deepEqual(applied[0]?.urls.get('auth'), ['http://env:1'])
})

test('GATEWAY_CONFIG names the file that is followed', async (t) => {
  const cwd = configFolder(t)
  const env = { GATEWAY_CONFIG: 'other.yaml', DATABASE_URL: 'none' }
  writeFileSync(join(cwd, 'other.yaml'), auth)
  const { config, file } = openConfig({ env, cwd, sources: discoverySources })
  t.is(file.path, join(cwd, 'other.yaml'))
  const log = recordedLog()
  const routing = { ...config, sources: config.discovery.sources }
  const { reload, status } = createReloader({ file, routing, apply: () => t.fail(), log })
  writeFileSync(file.path, 'service: {}')
  await reload()
  t.regex(status().lastError ?? '', /^other\.yaml:1:1 service: /)
  rmSync(file.path)
  await reload()
  t.is(status().state, 'rejected')
})

const many = (count: number) =>
  `services:\n${Array.from({ length: count }, (_, n) => `  s${n}: { urls: http://a:${n + 1} }\n`).join('')}`

test('a large file is read in steps, between which others have their turn', async (t) => {
  const { write, applied, cwd } = reloader(t, auth)
  const { config, file } = openConfig({ env: { DATABASE_URL: 'none' }, cwd, sources: discoverySources })
  const steps = file.parse(many(500), { ...config, sources: config.discovery.sources })
  let count = 0
  while (!steps.next().done) count += 1
  t.true(count > 1000, `${count} steps: of reading, and for each service`)
  // Also of a small one it is not known at once: in the same way whatever its size.
  const reloaded = write(many(2))
  t.is(applied.length, 0)
  await reloaded
  t.is(applied.length, 1)
})

test('of changes that come while a file is being read the last one holds, and an older one never follows', async (t) => {
  const { write, applied, status } = reloader(t, auth)
  const sizes = () => applied.map(({ services }) => services.size)
  // The second is overtaken before anybody looks at it, and nobody hears of its fault.
  await Promise.all([write(many(500)), write('services: ['), write(many(3))])
  t.deepEqual(sizes(), [500, 3])
  t.like(status(), { state: 'current', version: 3, reloads: { success: 2, failure: 0 } })
  await write(many(4))
  t.deepEqual(sizes(), [500, 3, 4])
})

test('a file that is being read when the gateway stops is not taken over', async (t) => {
  for (const text of [many(3), 'services: [']) {
    const { write, stop, applied, log } = reloader(t, auth)
    const reloaded = write(text)
    stop()
    await reloaded
    t.deepEqual(applied, [])
    t.deepEqual(log.lines, [])
  }
})
