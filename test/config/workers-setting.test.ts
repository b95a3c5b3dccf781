import test from 'ava'
import { loadConfig } from '../../src/config/load.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { faultLines } from '../support/config.ts'

const cwd = import.meta.dirname

const workers = (env: Readonly<Record<string, string>>) =>
  loadConfig({ env, cwd, sources: discoverySources, availableParallelism: () => 6 }).workers

test('one worker unless told otherwise, as many as are asked for, or one for each core', (t) => {
  t.is(workers({ DATABASE_URL: 'none' }), 1)
  t.is(workers({ DATABASE_URL: 'none', WORKERS: '4' }), 4)
  t.is(workers({ DATABASE_URL: 'none', WORKERS: 'auto' }), 6)
  t.is(workers({ DATABASE_URL: 'postgres://u:p@localhost/n', WORKERS: 'auto' }), 6)
})

test('the embedded database is for one process: auto is 1, more is a fault that says what to do', (t) => {
  t.is(workers({ WORKERS: 'auto' }), 1)
  t.is(workers({ WORKERS: '1' }), 1)
  t.deepEqual(faultLines(t, { env: { WORKERS: '2', DATABASE_URL: '' } }), [
    'WORKERS: found "2" with the embedded database, which one process alone may have, expected 1; or DATABASE_URL: PostgreSQL, or none for no database',
  ])
})

for (const text of ['0', '-1', '1.5', 'two', '257', 'AUTO']) {
  test(`WORKERS=${text} is no number of processes`, (t) => {
    const [line] = faultLines(t, { env: { WORKERS: text } })
    t.regex(line!, /^WORKERS: found ".*", expected a whole number of processes from 1 to 256, or auto/)
  })
}
