import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { startProcess } from '../support/processes.ts'

test('an empty variable hides nothing of .env from any part: in production there is no demo provider', async (t) => {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const file = [
    'NODE_ENV=production',
    'PUBLIC_URL=https://gateway.example.com',
    `ENCRYPTION_KEYS=one:${randomBytes(32).toString('base64')}`,
  ]
  await writeFile(join(cwd, '.env'), file.join('\n'))
  const ports = { PORT: '0', AUTH_PORT: '0', DEMO_PROVIDER_PORT: '65535' }
  const env = { NODE_ENV: '', DATABASE_URL: '', DATA_DIR: cwd, ...ports }
  const child = startProcess(t, 'scripts/start.ts', env, { cwd })
  // What the example house lacks in production; in development it needs nothing.
  const [first] = await child.printed(/AUTH_CLIENT_ID: expected|demo provider on/)
  t.is(first, 'AUTH_CLIENT_ID: expected')
  t.deepEqual(await child.exited, { code: 1, signal: null })
  t.notRegex(child.output(), /listen/)
})
