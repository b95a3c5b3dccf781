import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { decodeProtectedHeader } from 'jose'
import { runCommand } from '../../src/commands/run.ts'
import { createSealer } from '../../src/persistence/sealer.ts'
import { createKeyRing } from '../../src/tokens/keys.ts'
import { configFolder } from '../support/config.ts'
import {
  eachDatabase,
  type PostgresConfig,
  postgresTest,
  sharedPostgres,
  startDatabase,
} from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { bareEnvironment } from '../support/processes.ts'
import { keptLog } from '../support/replicas.ts'
import { request } from '../support/request.ts'
import { createTestProvider, startTokenProvider } from '../support/token-provider.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { startVault } from '../support/vault.ts'

const key = (id: string) => ({ id, secret: randomBytes(32).toString('base64') })
const text = (...keys: ReturnType<typeof key>[]) => keys.map(({ id, secret }) => `${id}:${secret}`).join(',')

/** A slow machine takes its time. */
const patient = { DATABASE_CONNECT_TIMEOUT: '30s', DATABASE_STATEMENT_TIMEOUT: '30s' }

/** Runs `munjigi …`. */
async function munjigi(
  t: ExecutionContext,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
) {
  const [output, errors]: [string[], string[]] = [[], []]
  const print = (line: string) => void output.push(line)
  const complain = (line: string) => void errors.push(line)
  const code = await runCommand(args, { env: { ...patient, ...env }, cwd: configFolder(t), print, complain })
  return { code, output: output.join('\n'), errors: errors.join('\n') }
}

/** The same as an operator does, in a process of its own. */
function munjigiProcess(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>) {
  return new Promise<{ code: number; output: string; errors: string }>((done) => {
    const options = { cwd, env: { ...bareEnvironment, ...patient, ...env } }
    execFile(process.execPath, [resolve('src/munjigi.ts'), ...args], options, (error, output, errors) => {
      done({ code: error === null ? 0 : Number(error.code), output, errors })
    })
  })
}

eachDatabase((tested) => {
  tested.test('keys rotate gives the kid that signs from now on', async (t) => {
    const config = await tested.fresh(t)
    const env: Record<string, string> =
      config.kind === 'postgres'
        ? { DATABASE_URL: config.url, ENCRYPTION_KEYS: text(key('a')) }
        : { DATA_DIR: join(config.dataDir, '..') }
    const first = await munjigi(t, ['keys', 'rotate'], env)
    t.like(first, { code: 0, errors: '' })
    t.regex(first.output, /^[\w-]{43}$/)
    const tooEarly = await munjigi(t, ['keys', 'rotate'], env)
    t.like(tooEarly, { code: 1, output: '' })
    t.regex(tooEarly.errors, /^munjigi: the next key [\w-]{43} was published at .* in \d+ s: .*--now$/)
    const second = await munjigi(t, ['keys', 'rotate', '--now'], env)
    t.is(second.code, 0)
    t.not(second.output, first.output)
  })
})

const fresh = sharedPostgres()

const ringOf = (database: Awaited<ReturnType<typeof startDatabase>>, ...keys: ReturnType<typeof key>[]) =>
  createKeyRing({
    database,
    sealer: createSealer(keys),
    log: keptLog().log,
    signingKeyLifetimeSeconds: 3600,
    pollingIntervalMs: 60_000,
  })

postgresTest('a running gateway signs with what keys rotate gave', async (t) => {
  const config = (await fresh(t)) as PostgresConfig
  const [a] = [key('a')]
  const ring = ringOf(await startDatabase(t, config), a)
  ring.start()
  await until(() => ring.active() !== undefined, 'it signs')
  const env = { DATABASE_URL: config.url, ENCRYPTION_KEYS: text(a) }
  const { output } = await munjigi(t, ['keys', 'rotate', '--now'], env)
  await until(() => ring.active()?.kid === output, 'it signs with the new key')
  t.pass()
})

postgresTest('keys distrust ends at a running gateway what the key has signed, and no session', async (t) => {
  const config = (await fresh(t)) as PostgresConfig
  const env = { ...patient, DATABASE_URL: config.url, ENCRYPTION_KEYS: text(key('a')) }
  const house = await httpUpstream(t, (_request, response) => response.end('house'))
  const services = { house: { urls: [house.origin], openapi: false } }
  const { url } = await startGateway(t, { file: { services }, env })
  await until(async () => (await request(`${url}/readyz`)).status === 200, 'it is ready')
  const authorization = `Basic ${Buffer.from('dev-client:dev-secret').toString('base64')}`
  const post = async (path: string, body: unknown) => {
    const headers = { authorization, 'content-type': 'application/json' }
    const reply = await request(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    t.is(reply.status, 200, reply.body)
    return JSON.parse(reply.body) as { access_token: string; refresh_token: string }
  }
  const ask = async (token: string) =>
    (await request(`${url}/api/house`, { headers: { authorization: `Bearer ${token}` } })).status
  const pair = await post('/tokens/create', { subject: 'ada' })
  // The second time it is remembered.
  for (let i = 0; i < 2; i += 1) t.is(await ask(pair.access_token), 200)

  const { kid = '' } = decodeProtectedHeader(pair.access_token)
  const list = await munjigi(t, ['keys', 'list'], env)
  t.regex(
    list.output,
    new RegExp(`^${kid} +active +since .*\n[\\w-]{43} +next +since .*\nthe next one signs at `),
  )
  const { code, output } = await munjigi(t, ['keys', 'distrust', kid], env)
  t.is(code, 0)
  t.regex(output, new RegExp(`^not trusted any more: ${kid}\nsigns from now on: [\\w-]{43}$`))
  await until(async () => (await ask(pair.access_token)) === 401, 'the token is worth nothing')
  const next = await post('/tokens/refresh', { refresh_token: pair.refresh_token })
  t.is(await ask(next.access_token), 200, 'the session goes on')

  t.like(await munjigi(t, ['keys', 'distrust', kid], env), {
    code: 1,
    errors: `munjigi: there is no signing key ${kid}`,
  })
  t.regex(
    (await munjigi(t, ['keys', 'distrust', '--all'], env)).output,
    /^(not trusted any more: .*\n){2}signs /,
  )
  await until(async () => (await ask(next.access_token)) === 401, 'nor is any other')
})

postgresTest('keys rewrap lets an older encryption key be given up', async (t) => {
  const config = (await fresh(t)) as PostgresConfig
  const [older, newer] = [key('older'), key('newer')]
  const run = (keys: string, ...args: string[]) =>
    munjigi(t, ['keys', ...args], { DATABASE_URL: config.url, ENCRYPTION_KEYS: keys })
  t.like(await run(text(older), 'rotate'), { code: 0, errors: '' })
  const without = await run(text(newer), 'rewrap')
  t.is(without.code, 1)
  t.regex(without.errors, /sealed under the key "older", which is missing from ENCRYPTION_KEYS/)
  const both = { code: 0, output: '2 signing keys sealed anew\n0 rows of the vault sealed anew' }
  t.like(await run(text(newer, older), 'rewrap'), both)
  t.like(await run(text(newer), 'rotate', '--now'), { code: 0 })
})

eachDatabase((tested) => {
  tested.test('keys rewrap lets the tokens of the vault be read without the older key', async (t) => {
    const config = await tested.fresh(t)
    const [older, newer] = [key('older'), key('newer')]
    const provider = await startTokenProvider(t)
    const open = async (keys: ReturnType<typeof key>[]) => {
      const database = await startDatabase(t, config)
      return startVault(t, { database, config }, createTestProvider(provider.url), { keys })
    }
    const before = await open([older])
    const kept = await before.connect(provider.grant('kept'))
    const { id, subject } = await before.connect(provider.grant('removed'))
    provider.behaviour.revokeStatus = 503
    t.is(await before.vault.remove(id, subject), 'queued')
    await before.database.stop()
    const env =
      config.kind === 'postgres' ? { DATABASE_URL: config.url } : { DATA_DIR: join(config.dataDir, '..') }
    const run = (keys: string) => munjigi(t, ['keys', 'rewrap'], { ...env, ENCRYPTION_KEYS: keys })
    const without = await run(text(newer))
    t.is(without.code, 1)
    t.regex(without.output, /^0 rows of the vault/m)
    t.regex(
      without.errors,
      new RegExp(`connections.access_token:${kept.id} was sealed under the key "older"`),
    )
    t.regex(without.errors, /provider_revocations\.tokens:/)
    t.regex((await run(text(newer, older))).output, /^2 rows of the vault sealed anew$/m)
    t.regex((await run(text(newer, older))).output, /^0 rows of the vault sealed anew$/m)
    const after = await open([newer])
    t.is((await after.vault.fresh(kept)).accessToken, kept.accessToken)
  })
})

test('on an embedded database that a running gateway has open, keys rotate says so', async (t) => {
  const folder = configFolder(t)
  const dataDir = join(folder, 'database')
  await startDatabase(t, { kind: 'embedded', dataDir, encryptionKeys: { keys: [] } })
  const { code, errors } = await munjigiProcess(['keys', 'rotate'], folder, { DATA_DIR: folder })
  t.is(code, 1)
  t.regex(errors, new RegExp(`^munjigi: no database: .*in use by process ${process.pid}`))
})

test('where nothing listens at DATABASE_URL it fails at once and shows no password', async (t) => {
  const env = { DATABASE_URL: 'postgres://user:hunter2@127.0.0.1:1/db', ENCRYPTION_KEYS: text(key('a')) }
  const { code, errors } = await munjigi(t, ['keys', 'rotate'], env)
  t.is(code, 1)
  t.regex(errors, /^munjigi: no database: .*ECONNREFUSED/)
  t.false(errors.includes('hunter2'))
})

test('without a database there are no keys to rotate', async (t) => {
  const { code, errors } = await munjigi(t, ['keys', 'rotate'], { DATABASE_URL: 'none' })
  t.is(code, 1)
  t.regex(errors, /^munjigi: DATABASE_URL is none/)
})

test('a configuration at fault is told as the gateway tells it', async (t) => {
  const { code, errors } = await munjigi(t, ['keys', 'rotate'], { PORT: 'eighty' })
  t.is(code, 1)
  t.regex(errors, /PORT/)
})

for (const args of [
  [],
  ['nope'],
  ['constructor'],
  ['keys'],
  ['keys', 'nope'],
  ['keys', 'rotate', '--nope'],
  ['keys', 'distrust'],
  ['keys', 'distrust', 'a', 'b'],
  ['keys', 'distrust', 'a', '--all'],
  ['keys', 'rotate', 'a'],
  ['keys', 'list', '--now'],
  ['keys', 'rewrap', '--now'],
]) {
  test(`munjigi ${args.join(' ')} shows how it is called`, async (t) => {
    const { code, output, errors } = await munjigi(t, args)
    t.is(code, 2)
    t.is(output, '')
    t.regex(errors, /^ {2}munjigi keys rotate --now/m)
  })
}
