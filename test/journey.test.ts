import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'

test('npm start, GET /api/users through door, proxy and address book to the house, Ctrl-C', async (t) => {
  const { url, output, interrupt } = await npmStart(t, '')

  const reply = await fetch(`${url}/api/users`)
  t.is(reply.status, 200)
  t.deepEqual(await reply.json(), { message: 'Welcome from AUTH service' })
  t.truthy(reply.headers.get('x-request-id'))

  const { code, signal } = await interrupt()
  t.is(code, 0)
  t.is(signal, null)
  t.regex(output(), /^auth {2}GET \/users {2}200 {2}[\d.]+ ms$/m, 'the house shows the request')
  t.regex(output(), /^→ GET \/api\/users {2}auth@\S+:\d+ {2}200 {2}[\d.]+ ms$/m, 'so does the door')
  t.notRegex(output(), /deprecat|warning/i)
  await t.throwsAsync(fetch(`${url}/livez`), undefined, 'nobody listens any more')
})

test('the newcomer is told where to look next, and finds it there', async (t) => {
  const { url, output } = await npmStart(t)
  t.true(output().includes(`${url}/docs`))
  const docs = await fetch(`${url}/docs`, { headers: { accept: 'text/html' } })
  t.is(docs.status, 200)
  t.regex(docs.headers.get('content-type') ?? '', /^text\/html/)
  const welcome = await fetch(`${url}/`)
  t.regex(JSON.stringify(await welcome.json()), /\/docs/)
})

test('a path that nobody serves is a problem with a code and the id of the request', async (t) => {
  const { url } = await npmStart(t)
  const reply = await fetch(`${url}/nobody/home`, { headers: { 'x-request-id': 'journey-test-1' } })
  t.is(reply.status, 404)
  t.is(reply.headers.get('content-type'), 'application/problem+json')
  t.like(await reply.json(), { status: 404, code: 'not_found', request_id: 'journey-test-1' })
})

/**
 * The newcomer's command, on free ports, in a process group of its own as a terminal would have it. Without the
 * embedded database, which takes seconds and 500 MB, unless told otherwise.
 */
async function npmStart(t: ExecutionContext, databaseUrl = 'none') {
  const [port, authPort] = [await freePort(), await freePort()]
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const child = spawn('npm', ['start'], {
    env: {
      ...process.env,
      PORT: String(port),
      AUTH_PORT: String(authPort),
      DATA_DIR: folder,
      DATABASE_URL: databaseUrl,
      NODE_ENV: 'development',
    },
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  t.teardown(() => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  })
  let text = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    text += chunk
    child.emit('output')
  })
  let gone = false
  child.once('exit', () => {
    gone = true
    child.emit('output')
  })
  while (!text.includes('curl')) {
    if (gone) throw new Error(`npm start ended by itself: ${text}`)
    await once(child, 'output')
  }
  return {
    url: `http://localhost:${port}`,
    output: () => text,
    interrupt: async () => {
      process.kill(-child.pid!, 'SIGINT')
      const [code, signal] = await exited
      return { code, signal }
    },
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, 'localhost')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
