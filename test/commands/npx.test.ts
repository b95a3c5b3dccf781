import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)

test('npx munjigi is the command of this very checkout, and asks no registry', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(home, { recursive: true, force: true }))
  const env = { PATH: process.env.PATH, HOME: home, npm_config_registry: 'http://127.0.0.1:1' }
  const { stdout } = await run('npx', ['munjigi', 'check', 'gateway.yaml'], { env })
  t.regex(stdout, /^gateway\.yaml: 1 service, 3 routes$/m)
})
