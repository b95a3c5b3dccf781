import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import test from 'ava'
import { openEmbedded } from '../../src/persistence/embedded.ts'
import { DenialEntity } from '../../src/tokens/entities.ts'
import { createTestDatabase, freshEmbedded, startDatabase } from '../support/database.ts'
import { startProcess } from '../support/processes.ts'
import { until } from '../support/until.ts'

const holder = 'test/support/embedded-holder.ts'

test('the directory is made where it is missing, for nobody else to read', async (t) => {
  const { dataDir } = await freshEmbedded(t)
  const nested = `${dataDir}-new/deeply/database`
  const embedded = openEmbedded(nested)
  t.teardown(embedded.close)
  await embedded.open()
  for (const folder of [nested, dirname(nested)]) t.is(statSync(folder).mode & 0o777, 0o700)
})

test('a directory that another process has is told of by name and process, and taken when that ends', async (t) => {
  const config = await freshEmbedded(t)
  const other = startProcess(t, holder, { DATA_DIR: config.dataDir })
  await other.printed(/committed/)
  const said: string[] = []
  const warn = ({ fault }: { fault?: unknown }) => void said.push(String(fault))
  const database = createTestDatabase(t, config, { log: { debug() {}, info() {}, warn, error() {} } })
  const starting = database.start()
  await until(() => said.length > 0, 'a warning')
  t.is(database.state(), 'failing')
  t.regex(said[0] ?? '', new RegExp(`in use by process ${other.pid} on .*DATA_DIR`))
  other.kill('SIGKILL')
  await starting
  t.true(database.ready())
})

test('kill -9 loses nothing that was committed and does not stand in the way of the next start', async (t) => {
  const config = await freshEmbedded(t)
  for (const round of [1, 2]) {
    const other = startProcess(t, holder, { DATA_DIR: config.dataDir })
    await other.printed(/committed/)
    other.kill('SIGKILL')
    await other.exited
    const database = await startDatabase(t, config)
    t.is(await database.run((em) => em.count(DenialEntity)), round)
    await database.stop()
  }
})

test('nor do two databases of one process take the same directory', async (t) => {
  const config = await freshEmbedded(t)
  await startDatabase(t, config)
  const second = openEmbedded(config.dataDir)
  await t.throwsAsync(second.open(), { message: /in use by process/ })
})

test('two databases share one directory where they are given it opened', async (t) => {
  const config = await freshEmbedded(t)
  const embedded = openEmbedded(config.dataDir)
  t.teardown(embedded.close)
  const [one, two] = await Promise.all([
    startDatabase(t, config, { embedded }),
    startDatabase(t, config, { embedded }),
  ])
  const key = 'jti:shared'
  await one.run((em) => em.insert(DenialEntity, { key, expiresAt: new Date() } as never))
  await one.stop()
  t.is(await two.run((em) => em.count(DenialEntity)), 1)
})
