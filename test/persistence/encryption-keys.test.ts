import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { readEncryptionKeys } from '../../src/persistence/encryption-keys.ts'
import { createSealer } from '../../src/persistence/sealer.ts'
import { configFolder } from '../support/config.ts'
import { recordedLog } from '../support/hand-source.ts'

const secret = Buffer.alloc(32, 7).toString('base64')

test('keys that are configured are taken as they are', async (t) => {
  const keys = [{ id: 'a', secret }]
  t.deepEqual(await readEncryptionKeys({ keys }), keys)
})

test('a missing file is made with one key, for its owner only, and read the same ever after', async (t) => {
  const file = join(configFolder(t), 'data', 'encryption-keys')
  const keys = await readEncryptionKeys({ file })
  t.is(keys.length, 1)
  t.is(Buffer.from(keys[0]!.secret, 'base64').length, 32)
  t.is(statSync(file).mode & 0o777, 0o600)
  t.deepEqual(await readEncryptionKeys({ file }), keys)
  t.deepEqual(readdirSync(join(file, '..')), ['encryption-keys'])
})

test('of many that start at once all get the same key, and one says that it made it', async (t) => {
  const file = join(configFolder(t), 'encryption-keys')
  const log = recordedLog()
  const all = await Promise.all(Array.from({ length: 20 }, () => readEncryptionKeys({ file }, log)))
  t.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [['info', `a key that secrets are stored under was generated into ${file}`]],
  )
  t.is(new Set(all.map(([key]) => key?.id)).size, 1)
  t.deepEqual(readdirSync(join(file, '..')), ['encryption-keys'])
  t.is(readFileSync(file, 'utf8').trim(), `${all[0]![0]!.id}:${all[0]![0]!.secret}`)
})

const onPosix = process.platform === 'win32' ? test.skip : test
onPosix('a file that others than its owner may read is named in a warning, and read', async (t) => {
  const file = join(configFolder(t), 'encryption-keys')
  const keys = await readEncryptionKeys({ file })
  for (const [mode, warnings] of [
    [0o600, 0],
    [0o400, 0],
    [0o640, 1],
    [0o604, 1],
  ] as const) {
    chmodSync(file, mode)
    const log = recordedLog()
    t.deepEqual(await readEncryptionKeys({ file }, log), keys)
    t.is(log.lines.filter(({ level }) => level === 'warn').length, warnings, mode.toString(8))
    t.true(log.lines.every(({ message }) => message.startsWith(`${file}: `)))
  }
})

test('a file may hold several keys, newest first', async (t) => {
  const file = join(configFolder(t), 'encryption-keys')
  writeFileSync(file, `new:${secret},\n  old:${secret}\n`)
  const keys = await readEncryptionKeys({ file })
  t.deepEqual(
    keys.map(({ id }) => id),
    ['new', 'old'],
  )
  const sealer = createSealer(keys)
  t.is(await sealer.open(await sealer.seal('text', 'place'), 'place'), 'text')
})

test('a file with anything else is an error that names the file and shows nothing of it', async (t) => {
  const file = join(configFolder(t), 'encryption-keys')
  for (const text of ['', 'hunter2', `a:${secret},a:${secret}`, 'a:dG9vc2hvcnQ=']) {
    writeFileSync(file, text)
    const error = await t.throwsAsync(readEncryptionKeys({ file }), undefined, text)
    t.true(error?.message.startsWith(`${file}: expected encryption keys`))
    if (text !== '') t.false(error?.message.includes(text))
    t.is(readFileSync(file, 'utf8'), text)
  }
})

test('a file that cannot be read is an error that names it', async (t) => {
  const file = join(configFolder(t), 'encryption-keys')
  mkdirSync(file)
  await t.throwsAsync(readEncryptionKeys({ file }), {
    message: `${file}: the encryption keys cannot be read (EISDIR)`,
  })
})

test('a file that cannot be made is an error that names it', async (t) => {
  const folder = configFolder(t)
  writeFileSync(join(folder, 'data'), 'a file where a folder is needed')
  const file = join(folder, 'data', 'sub', 'encryption-keys')
  await t.throwsAsync(readEncryptionKeys({ file }), {
    message: /data\/sub\/encryption-keys: .*\((ENOTDIR|EEXIST)\)$/,
  })
})
