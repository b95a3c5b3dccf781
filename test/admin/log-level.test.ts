import test, { type ExecutionContext } from 'ava'
import { runCommand } from '../../src/commands/run.ts'
import { createLog } from '../../src/observability/log.ts'
import { configFolder } from '../support/config.ts'
import { startGateway } from '../support/gateway.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { startWorkers } from '../support/workers.ts'

/** A gateway whose log is the real one. */
async function loggingGateway(t: ExecutionContext, env: Record<string, string> = {}) {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'people', write: (line) => lines.push(line) })
  const gateway = await startGateway(t, { log, env })
  const put = (body: unknown, headers: Record<string, string> = {}) =>
    request(`${gateway.url}/admin/log-level`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const read = async () => JSON.parse((await request(`${gateway.url}/admin/log-level`)).body)
  return { ...gateway, lines, log, put, read }
}

test('the level is told, and changed from the next line on', async (t) => {
  const { put, read, lines, log } = await loggingGateway(t)
  t.deepEqual(await read(), { level: 'info', configured: 'info' })
  const reply = await put({ level: 'error' })
  t.is(reply.status, 200)
  t.deepEqual(JSON.parse(reply.body), { level: 'error', configured: 'info' })
  t.deepEqual(await read(), { level: 'error', configured: 'info' })
  t.is(log.level(), 'error')
  const count = lines.length
  log.warn({}, 'a worry')
  t.is(lines.length, count)
  await put({ level: 'debug' })
  t.true(lines.includes('the log level is error now\n') && lines.includes('the log level is debug now\n'))
})

test('for a while only: then the configured level holds again', async (t) => {
  const { put, lines, log } = await loggingGateway(t)
  const before = Date.now()
  const { level, until: end } = JSON.parse((await put({ level: 'debug', for: '200ms' })).body)
  t.is(level, 'debug')
  t.true(Date.parse(end) >= before + 200)
  await until(() => log.level() === 'info', 'the level is info again')
  t.true(Date.now() >= before + 200)
  t.true(lines.includes('the log level is info again\n'))
})

test('a later change takes the place of one that was for a while', async (t) => {
  const { put, read } = await loggingGateway(t)
  await put({ level: 'debug', for: '50ms' })
  await put({ level: 'warn', for: '10m' })
  await put({ level: 'error' })
  // As long as the first would have lasted, by the same clock.
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.deepEqual(await read(), { level: 'error', configured: 'info' })
})

test('what is no level, or no while, changes nothing and is named', async (t) => {
  const { put, read } = await loggingGateway(t)
  for (const [body, detail] of [
    [{ level: 'loud' }, /^level: expected debug, info, warn, error or silent/],
    [{}, /^level: expected/],
    [{ level: 'debug', for: 'ever' }, /^for: expected a duration/],
    [{ level: 'debug', for: '0s' }, /^for: expected a duration longer than 0/],
    [{ level: 'debug', for: '25h' }, /^for: expected a duration of at most 24h/],
    [{ level: 'debug', until: 'later' }, /^until: not known here/],
    ['{"level":', /malformed JSON/],
    ['["debug"]', /expected a JSON object/],
  ] as const) {
    const reply = await put(body)
    t.is(reply.status, 400, JSON.stringify(body))
    t.regex(JSON.parse(reply.body).detail, detail)
  }
  t.is((await read()).level, 'info')
})

test('only who may ask the admin endpoints may change it', async (t) => {
  const { put, read, url } = await loggingGateway(t, { ADMIN_TOKEN: 'an-admin-token-of-24-chars' })
  for (const headers of [
    { host: 'e.example' },
    { origin: 'http://e.example' },
    { 'x-forwarded-for': '1.2.3.4' },
  ]) {
    const reply = await put({ level: 'debug' }, headers)
    t.is(reply.status, 401, JSON.stringify(headers))
    t.is(codeOf(reply), 'authentication_required')
  }
  t.is((await read()).level, 'info')
  const bearer = { host: 'e.example', authorization: 'Bearer an-admin-token-of-24-chars' }
  t.is((await put({ level: 'warn' }, bearer)).status, 200)
  const reply = await request(`${url}/admin/log-level`, { method: 'DELETE' })
  t.is(reply.status, 405)
  t.is(reply.headers.allow, 'GET, HEAD, PUT')
})

/** Runs `munjigi log-level …`. */
async function munjigi(t: ExecutionContext, url: string, ...args: string[]) {
  const [output, errors]: [string[], string[]] = [[], []]
  const code = await runCommand(['log-level', ...args, '--url', url], {
    env: {},
    cwd: configFolder(t),
    print: (line) => void output.push(line),
    complain: (line) => void errors.push(line),
  })
  return { code, output: output.join('\n'), errors: errors.join('\n') }
}

test('munjigi log-level tells it and changes it', async (t) => {
  const { url } = await loggingGateway(t)
  t.like(await munjigi(t, url), { code: 0, output: 'info' })
  t.like(await munjigi(t, url, 'warn'), { code: 0, output: 'warn (LOG_LEVEL is info)' })
  const { output } = await munjigi(t, url, 'debug', '--for', '10m')
  t.regex(output, /^debug until \d{4}-\d\d-\d\dT[\d:.]+Z, then info$/)
})

test('munjigi log-level says what is wrong with what it was told', async (t) => {
  const { url } = await loggingGateway(t)
  const refused = await munjigi(t, url, 'loud')
  t.is(refused.code, 1)
  t.regex(refused.errors, /level: expected debug, info, warn, error or silent/)
  for (const args of [['debug', 'info'], ['--for', '10m'], ['--loud']]) {
    t.is((await munjigi(t, url, ...args)).code, 2, args.join(' '))
  }
})

test('every worker changes it, the primary, and one that takes another’s place', async (t) => {
  const { url, process, pids, linesOf } = await startWorkers(t, 'http://127.0.0.1:9', {
    DATABASE_URL: 'none',
  })
  const { output } = await munjigi(t, url, 'debug', '--for', '1h')
  t.regex(output, /^debug until .*, then info; 2 workers$/)
  const said = () => linesOf(/the log level is debug until/)
  await until(() => said().size === 2, 'both have said so')
  await process.printed(/^the log level is debug until/m)
  globalThis.process.kill(pids[0]!, 'SIGKILL')
  await process.printed(/worker \d+ \(pid \d+\) listens/)
  await until(
    () => [...said().values()].reduce((sum, count) => sum + count, 0) === 3,
    'the new one says so too',
  )
  t.regex((await munjigi(t, url)).output, /^debug until .*; 2 workers$/)
})
