import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { freshEmbedded } from './support/database.ts'
import { startProcess } from './support/processes.ts'

/** What the gateway prints until it is told to end. */
async function printed(t: ExecutionContext, env: Readonly<Record<string, string>>): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const child = startProcess(t, 'src/main.ts', { PORT: '0', ...env }, { cwd })
  await child.printed(/ {2}try /)
  child.kill('SIGTERM')
  await child.exited
  return child.output()
}

test('a development gateway that others reach says what they may use', async (t) => {
  const { dataDir } = await freshEmbedded(t)
  const env = { HOST: '0.0.0.0', DATABASE_URL: '', DATA_DIR: dirname(dataDir), ROUTE_PREFIX: '/e' }
  const output = await printed(t, env)
  t.true(output.includes(`generated into ${join(dirname(dataDir), 'encryption-keys')}\n`))
  t.regex(
    output,
    /^warn: HOST is 0\.0\.0\.0: whoever reaches it may use \/e\/tokens\/dummy, which makes a token of any text, and the documented client dev-client:dev-secret$/m,
  )
  const own = await printed(t, { ...env, GATEWAY_CLIENTS: 'auth:a-secret-of-its-own' })
  t.regex(
    own,
    /^warn: HOST is 0\.0\.0\.0: whoever reaches it may use \/e\/tokens\/dummy, which .* any text$/m,
  )
  t.false(own.includes('generated'))
  t.notRegex(await printed(t, { ...env, HOST: '127.0.0.1' }), /HOST is/)
})

test('one without a database has nothing to say of that', async (t) => {
  t.notRegex(await printed(t, { HOST: '0.0.0.0' }), /HOST is/)
})
