import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { freePort, freePorts } from './support/ports.ts'
import { npmStart, startProcess } from './support/processes.ts'
import { rawClient } from './support/raw-client.ts'
import { request } from './support/request.ts'
import { until } from './support/until.ts'
import { handshake } from './support/websocket.ts'

/** An empty folder: nothing of the repository's own gateway.yaml or .env is read there. */
async function emptyFolder(t: ExecutionContext): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  return cwd
}

async function listen(t: ExecutionContext, port = 0): Promise<number> {
  const server = net.createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

test('a port that is in use is one line that names PORT, and exit 1', async (t) => {
  const port = await listen(t)
  const cwd = await emptyFolder(t)
  const child = startProcess(t, 'src/main.ts', { HOST: '127.0.0.1', PORT: String(port) }, { cwd })
  t.deepEqual(await child.exited, { code: 1, signal: null })
  t.is(
    child.output(),
    `munjigi cannot start: PORT: ${port} is in use; stop what listens there, or set PORT to another one\n`,
  )
})

test('a host that is not this machine is one line that names HOST, and exit 1', async (t) => {
  const cwd = await emptyFolder(t)
  const child = startProcess(t, 'src/main.ts', { HOST: '192.0.2.1', PORT: '0' }, { cwd })
  t.deepEqual(await child.exited, { code: 1, signal: null })
  t.is(child.output(), 'munjigi cannot start: HOST: "192.0.2.1" is no address of this machine\n')
})

test('a configuration with three faults is three lines, and exit 1', async (t) => {
  const cwd = await emptyFolder(t)
  await writeFile(join(cwd, 'gateway.yaml'), 'services:\n  auth:\n    paht: /api\n')
  const child = startProcess(t, 'src/main.ts', { PORT: 'eighty', DRAIN_TIMEOUT: 'soon' }, { cwd })
  t.deepEqual(await child.exited, { code: 1, signal: null })
  const [first, ...faults] = child.errors().trimEnd().split('\n')
  t.is(first, 'munjigi cannot start: The configuration has 3 faults:')
  t.is(faults.length, 3)
  t.regex(faults[0]!, /^ {2}PORT: found "eighty", expected a port/)
  t.regex(faults[1]!, /^ {2}DRAIN_TIMEOUT: found "soon", expected a duration/)
  t.regex(faults[2]!, /^ {2}gateway\.yaml:3:5 services\.auth\.paht: /)
  t.notRegex(child.output(), /\n +at /, 'no stack')
})

test('SIGTERM at any moment of the start ends the process soon, and nobody listens afterwards', async (t) => {
  const cwd = await emptyFolder(t)
  const ports = await freePorts(6)
  await Promise.all(
    ports.map(async (port, i) => {
      const child = startProcess(t, 'src/main.ts', { HOST: '127.0.0.1', PORT: String(port) }, { cwd })
      await delay(i * 200)
      child.kill('SIGTERM')
      const { code, signal } = await child.exited
      // Before anything of ours has run there is nothing to put in order: the signal ends it.
      t.true(code === 0 || signal === 'SIGTERM', `${code} ${signal}: ${child.output()}`)
      t.is(child.errors(), '')
      await listen(t, port)
    }),
  )
})

test('SIGTERM while it starts is heeded once it has started', async (t) => {
  const cwd = await emptyFolder(t)
  const program = join(cwd, 'slow-start.ts')
  const lifecycle = join(import.meta.dirname, '../src/lifecycle.ts')
  await writeFile(
    program,
    `import { run } from ${JSON.stringify(lifecycle)}
    const timer = setTimeout(() => {}, 60_000)
    await run({
      start: async () => {
        console.log('starting')
        await new Promise((resolve) => setTimeout(resolve, 500))
        console.log('started')
        return async () => { console.log('stopped'); clearTimeout(timer) }
      },
      complain: console.error,
    })`,
  )
  const child = startProcess(t, program, {}, { cwd })
  await child.printed(/starting/)
  child.kill('SIGTERM')
  t.deepEqual(await child.exited, { code: 0, signal: null })
  t.is(child.output(), 'starting\nstarted\nstopped\n')
})

test('a stop that fails is said, and is exit 1', async (t) => {
  const cwd = await emptyFolder(t)
  const program = join(cwd, 'bad-stop.ts')
  const lifecycle = join(import.meta.dirname, '../src/lifecycle.ts')
  await writeFile(
    program,
    `import { run } from ${JSON.stringify(lifecycle)}
    setTimeout(() => {}, 60_000)
    await run({
      start: async () => {
        console.log('started')
        return async () => { throw new Error('the door is stuck') }
      },
      complain: console.error,
    })`,
  )
  const child = startProcess(t, program, {}, { cwd })
  await child.printed(/started/)
  child.kill('SIGTERM')
  t.deepEqual(await child.exited, { code: 1, signal: null })
  t.is(child.errors(), 'the door is stuck\n')
})

test('a log that nobody reads any more does not take the gateway with it', async (t) => {
  const cwd = await emptyFolder(t)
  for (const environment of ['development', 'production']) {
    const child = startProcess(
      t,
      'src/main.ts',
      {
        NODE_ENV: environment,
        PUBLIC_URL: 'http://127.0.0.1',
        HOST: '127.0.0.1',
        PORT: '0',
        DRAIN_DELAY: '0s',
      },
      { cwd },
    )
    const [url] = await child.printed(/http:\/\/127\.0\.0\.1:\d+/)
    child.closeOutput()
    for (let i = 0; i < 5; i += 1) {
      t.is((await request(`${url}/livez`)).status, 200)
      await delay(i === 3 ? 1200 : 50)
    }
    child.kill('SIGTERM')
    t.deepEqual(await child.exited, { code: 0, signal: null }, environment)
    t.is(child.errors(), '')
  }
})

test('no warning is printed, of deprecation or otherwise, while everything is made use of', async (t) => {
  const [port, authPort] = await freePorts(2)
  const child = startProcess(
    t,
    'scripts/start.ts',
    { HOST: '127.0.0.1', PORT: String(port), AUTH_PORT: String(authPort) },
    { nodeOptions: ['--trace-deprecation', '--trace-warnings'] },
  )
  await child.printed(/listens on/)
  const url = `http://127.0.0.1:${port}`
  for (const path of [
    '/api/users',
    '/api/user/nobody',
    '/docs',
    '/openapi.json',
    '/',
    '/livez',
    '/readyz',
    '/nowhere',
  ]) {
    for (const method of ['GET', 'HEAD', 'POST'])
      await request(url + path, { method, body: method === 'POST' ? '{}' : '' })
  }
  const client = await rawClient(t, port!)
  client.send(handshake('/api/users'))
  await client.ended()
  child.kill('SIGINT')
  t.deepEqual(await child.exited, { code: 0, signal: null })
  t.is(child.errors(), '')
})

test('npm start ends with exit 0 on Ctrl-C, and both ports are free at once', async (t) => {
  const [port, authPort] = await freePorts(2)
  const child = npmStart(t, {
    DATABASE_URL: 'none',
    HOST: '127.0.0.1',
    PORT: String(port),
    AUTH_PORT: String(authPort),
    NODE_ENV: '',
    // What idle connections would be waited for, if they were.
    DRAIN_TIMEOUT: '2m',
  })
  await child.printed(/curl/)
  const idle = await rawClient(t, port!)
  idle.send('GET /api/users HTTP/1.1\r\nHost: a\r\n\r\n')
  await idle.receive('Welcome from AUTH service')
  await rawClient(t, port!)
  const askedAt = performance.now()
  child.kill('SIGINT')
  t.deepEqual(await child.exited, { code: 0, signal: null }, child.output())
  t.true(performance.now() - askedAt < 60_000, 'idle connections are not waited for')
  await listen(t, port)
  await listen(t, authPort)
})

test('at the level silent nothing is printed from start to end', async (t) => {
  const port = await freePort()
  const cwd = await emptyFolder(t)
  const child = startProcess(
    t,
    'src/main.ts',
    { HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'silent' },
    { cwd },
  )
  const url = `http://127.0.0.1:${port}`
  await until(
    () =>
      request(`${url}/livez`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    'it is there',
  )
  await request(`${url}/nowhere`)
  child.kill('SIGTERM')
  t.deepEqual(await child.exited, { code: 0, signal: null })
  t.is(child.output(), '')
})
