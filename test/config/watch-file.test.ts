import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { errorCode } from '../../src/config/environment.ts'
import type { FileText } from '../../src/config/routing.ts'
import { type WatchFileOptions, watchFile } from '../../src/config/watch-file.ts'
import { calmTest as test } from '../support/calm.ts'
import { configFolder } from '../support/config.ts'
import { until } from '../support/until.ts'

/** Watches, and notes every text that is told of. */
function watched(t: ExecutionContext, path: string, options: Partial<WatchFileOptions> = {}) {
  const texts: FileText[] = []
  const watch = watchFile({
    path,
    known: undefined,
    settleMs: 30,
    // Never, so that what a test sees is what the file system told.
    pollMs: 3_600_000,
    onChange: (text) => texts.push(text),
    ...options,
  })
  t.teardown(() => watch.stop())
  return { texts, told: (text: FileText) => until(() => texts.at(-1) === text, `told of ${String(text)}`) }
}

test('a file that is written in place is told of', async (t) => {
  const path = join(configFolder(t, { yaml: 'one' }), 'gateway.yaml')
  const { texts, told } = watched(t, path, { known: 'one' })
  await writeFile(path, 'two')
  await told('two')
  await writeFile(path, 'three')
  await told('three')
  t.deepEqual(texts, ['two', 'three'])
})

test('a file that an editor puts in its place is told of, more than once', async (t) => {
  const path = join(configFolder(t, { yaml: 'one' }), 'gateway.yaml')
  const { texts, told } = watched(t, path, { known: 'one' })
  for (const text of ['two', 'three']) {
    await writeFile(`${path}.tmp`, text)
    await rename(`${path}.tmp`, path)
    await told(text)
  }
  t.deepEqual(texts, ['two', 'three'])
})

test('a ConfigMap that is swapped is told of, more than once', async (t) => {
  const folder = configFolder(t)
  /** What the kubelet does: a new folder, and a link that is moved over the old one. */
  const publish = async (name: string, text: string) => {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'gateway.yaml'), text)
    await symlink(name, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await publish('..2026_1', 'one')
  const path = join(folder, 'gateway.yaml')
  await symlink(join('..data', 'gateway.yaml'), path)
  const { texts, told } = watched(t, path, { known: 'one' })
  await publish('..2026_2', 'two')
  await rm(join(folder, '..2026_1'), { recursive: true })
  await told('two')
  await publish('..2026_3', 'three')
  await rm(join(folder, '..2026_2'), { recursive: true })
  await told('three')
  t.deepEqual(texts, ['two', 'three'])
})

test('a file that is a link is told of when what it leads to is written', async (t) => {
  const target = join(configFolder(t, { yaml: 'one' }), 'gateway.yaml')
  const path = join(configFolder(t), 'gateway.yaml')
  await symlink(target, path)
  const { told } = watched(t, path, { known: 'one' })
  await writeFile(target, 'two')
  await told('two')
  t.pass()
})

test('a file that appears, goes and comes again is told of each time', async (t) => {
  const path = join(configFolder(t), 'gateway.yaml')
  const { texts, told } = watched(t, path)
  await writeFile(path, 'one')
  await told('one')
  await rm(path)
  await told(undefined)
  await writeFile(path, 'one')
  await told('one')
  t.deepEqual(texts, ['one', undefined, 'one'])
})

test('what was written between the start and the watch is told of at once', (t) => {
  const path = join(configFolder(t, { yaml: 'two' }), 'gateway.yaml')
  t.deepEqual(watched(t, path, { known: 'one' }).texts, ['two'])
})

test('a file that is written bit by bit is told of once, when it is whole', async (t) => {
  const path = join(configFolder(t, { yaml: 'one' }), 'gateway.yaml')
  const { texts, told } = watched(t, path, { known: 'one', settleMs: 500 })
  for (const text of ['', 't', 'tw', 'two']) await writeFile(path, text)
  await told('two')
  t.deepEqual(texts, ['two'])
})

test('a file that is written with what it says already is not told of, nor are its neighbours', async (t) => {
  const path = join(configFolder(t, { yaml: 'one' }), 'gateway.yaml')
  const { texts, told } = watched(t, path, { known: 'one' })
  await writeFile(path, 'one')
  await writeFile(`${path}~`, 'other')
  await delay(100)
  t.deepEqual(texts, [])
  await writeFile(path, 'two')
  await told('two')
  t.deepEqual(texts, ['two'])
})

test('where the file system tells nothing, it is looked at now and then', async (t) => {
  const folder = join(configFolder(t), 'later')
  const path = join(folder, 'gateway.yaml')
  // A folder that is not there cannot be watched.
  const { texts, told } = watched(t, path, { pollMs: 20 })
  await mkdir(folder)
  await writeFile(path, 'one')
  await until(() => texts.length > 0, 'it is seen')
  await told('one')
  await rm(folder, { recursive: true })
  await told(undefined)
  t.pass()
})

test('once it is stopped nothing is told any more', async (t) => {
  const path = join(configFolder(t, { yaml: 'one' }), 'gateway.yaml')
  const texts: FileText[] = []
  const watch = watchFile({ path, known: 'one', settleMs: 10, pollMs: 10, onChange: (x) => texts.push(x) })
  await writeFile(path, 'two')
  watch.stop()
  await delay(60)
  t.deepEqual(texts, [])
})

test('what takes the place of the file and is none, such as a pipe or a device, is not read', async (t) => {
  const path = join(configFolder(t, { yaml: 'one' }), 'gateway.yaml')
  const { texts, told } = watched(t, path, { known: 'one' })
  await symlink('/dev/null', `${path}.tmp`)
  await rename(`${path}.tmp`, path)
  await until(() => texts.length === 1, 'told of')
  t.is(errorCode(texts[0]), 'no regular file')
  await rm(path)
  await writeFile(path, 'two')
  await told('two')
})
