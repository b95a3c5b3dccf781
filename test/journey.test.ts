import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { freePorts } from './support/ports.ts'
import { npmStart } from './support/processes.ts'

test('npm start, GET /api/users through door, proxy and address book to the house, Ctrl-C', async (t) => {
  const { url, output, interrupt } = await start(t, '')

  const reply = await fetch(`${url}/api/users`)
  t.is(reply.status, 200)
  t.deepEqual(await reply.json(), { message: 'Welcome from AUTH service' })
  t.truthy(reply.headers.get('x-request-id'))

  const { code, signal } = await interrupt()
  t.is(code, 0)
  t.is(signal, null)
  t.regex(output(), /^auth {2}GET \/users {2}200 {2}[\d.]+ ms$/m, 'the house shows the request')
  t.regex(output(), /^→ GET \/api\/users {2}auth@\S+:\d+ {2}200 {2}[\d.]+ ms$/m, 'so does the door')
  // What npm says of its own settings is not ours.
  t.notRegex(output().replaceAll(/^npm .*$/gm, ''), /deprecat|warning/i)
  await t.throwsAsync(fetch(`${url}/livez`), undefined, 'nobody listens any more')
})

test('the newcomer is told where to look next, and finds it there', async (t) => {
  const { url, output } = await start(t)
  t.true(output().includes(`${url}/docs`))
  const docs = await fetch(`${url}/docs`, { headers: { accept: 'text/html' } })
  t.is(docs.status, 200)
  t.regex(docs.headers.get('content-type') ?? '', /^text\/html/)
  const welcome = await fetch(`${url}/`)
  t.regex(JSON.stringify(await welcome.json()), /\/docs/)
})

test('a path that nobody serves is a problem with a code and the id of the request', async (t) => {
  const { url } = await start(t)
  const reply = await fetch(`${url}/nobody/home`, { headers: { 'x-request-id': 'journey-test-1' } })
  t.is(reply.status, 404)
  t.is(reply.headers.get('content-type'), 'application/problem+json')
  t.like(await reply.json(), { status: 404, code: 'not_found', request_id: 'journey-test-1' })
})

/**
 * The newcomer's command, on free ports, in a process group of its own as a terminal would have it. Without the
 * embedded database, which takes seconds and 500 MB, unless told otherwise.
 */
async function start(t: ExecutionContext, databaseUrl = 'none') {
  const [port, authPort] = await freePorts(2)
  const folder = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const child = npmStart(t, {
    PORT: String(port),
    AUTH_PORT: String(authPort),
    DATA_DIR: folder,
    DATABASE_URL: databaseUrl,
    NODE_ENV: 'development',
  })
  await child.printed(/curl/)
  return {
    url: `http://localhost:${port}`,
    output: child.output,
    interrupt() {
      child.kill('SIGINT')
      return child.exited
    },
  }
}
