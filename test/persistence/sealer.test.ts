import { randomBytes } from 'node:crypto'
import test from 'ava'
import { createSealer, type EncryptionKey } from '../../src/persistence/sealer.ts'

const newKey = (id: string): EncryptionKey => ({ id, secret: randomBytes(32).toString('base64') })
const place = 'connections.refresh_token:42'
const secret = 'a refresh token of somebody’s'

test('what was sealed opens in its place', async (t) => {
  const sealer = createSealer([newKey('one')])
  t.is(await sealer.open(await sealer.seal(secret, place), place), secret)
})

test('a key may be written in base64url as well', async (t) => {
  const key = newKey('one')
  const other = { id: 'one', secret: Buffer.from(key.secret, 'base64').toString('base64url') }
  t.is(await createSealer([other]).open(await createSealer([key]).seal(secret, place), place), secret)
})

test('what is stored shows neither the content nor the place, and is never the same twice', async (t) => {
  const sealer = createSealer([newKey('one')])
  const [first, second] = [await sealer.seal(secret, place), await sealer.seal(secret, place)]
  t.not(first, second)
  for (const text of [secret, place]) {
    for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const) {
      t.false(first.includes(Buffer.from(text).toString(encoding).replace(/=+$/, '')))
    }
  }
  const { encrypted_key: dataKey } = JSON.parse(first)
  t.not(dataKey, JSON.parse(second).encrypted_key)
})

test('it does not open in another place, and the error names the place only', async (t) => {
  const sealer = createSealer([newKey('one')])
  const sealed = await sealer.seal(secret, place)
  const error = await t.throwsAsync(sealer.open(sealed, 'connections.refresh_token:43'))
  t.regex(error?.message ?? '', /^connections\.refresh_token:43 cannot be opened/)
  t.false(error?.message.includes(JSON.parse(sealed).ciphertext))
  t.is(error?.cause, undefined)
})

test('it does not open after any part of it was changed', async (t) => {
  const sealer = createSealer([newKey('one')])
  const sealed = JSON.parse(await sealer.seal(secret, place))
  for (const part of ['ciphertext', 'iv', 'tag', 'encrypted_key', 'protected']) {
    const bytes = Buffer.from(sealed[part], 'base64url')
    bytes[bytes.length - 1]! ^= 1
    const changed = JSON.stringify({ ...sealed, [part]: bytes.toString('base64url') })
    const error = await t.throwsAsync(sealer.open(changed, place), undefined, part)
    t.true(error?.message.startsWith(place), part)
  }
})

test('a place that comes with the text is not believed', async (t) => {
  const sealer = createSealer([newKey('one')])
  const sealed = JSON.parse(await sealer.seal(secret, place))
  const aad = Buffer.from(place).toString('base64url')
  await t.throwsAsync(sealer.open(JSON.stringify({ ...sealed, aad }), 'elsewhere'), { message: /^elsewhere/ })
})

test('another algorithm than ours is refused, whatever the text asks for', async (t) => {
  const key = newKey('one')
  const { FlattenedEncrypt } = await import('jose')
  const direct = await new FlattenedEncrypt(Buffer.from(secret))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'one' })
    .setAdditionalAuthenticatedData(Buffer.from(place))
    .encrypt(Buffer.from(key.secret, 'base64'))
  await t.throwsAsync(createSealer([key]).open(JSON.stringify(direct), place), {
    message: /cannot be opened/,
  })
})

test('an older key still opens, and what it sealed is due for sealing anew', async (t) => {
  const [older, newer] = [newKey('older'), newKey('newer')]
  const sealed = await createSealer([older]).seal(secret, place)
  const sealer = createSealer([newer, older])
  t.is(await sealer.open(sealed, place), secret)
  t.false(sealer.isCurrent(sealed))
  t.true(sealer.isCurrent(await sealer.seal(secret, place)))
})

test('a key that is missing is named', async (t) => {
  const sealed = await createSealer([newKey('lost')]).seal(secret, place)
  await t.throwsAsync(createSealer([newKey('other')]).open(sealed, place), {
    message: `${place} was sealed under the key "lost", which is missing from ENCRYPTION_KEYS`,
  })
})

test('another key under the same id does not open', async (t) => {
  const sealed = await createSealer([newKey('same')]).seal(secret, place)
  const error = await t.throwsAsync(createSealer([newKey('same')]).open(sealed, place))
  t.regex(error?.message ?? '', /with the key "same"/)
})

test('what was never sealed is an error that names the place and shows nothing', async (t) => {
  const sealer = createSealer([newKey('one')])
  for (const text of [
    '',
    'plain secret',
    '{}',
    'null',
    '[]',
    '"x"',
    '{"protected":"e30"}',
    '{"protected":7}',
  ]) {
    await t.throwsAsync(sealer.open(text, place), { message: `${place} holds no sealed text` }, text)
    t.false(sealer.isCurrent(text))
  }
})

test('without a key there is no sealer', (t) => {
  t.throws(() => createSealer([]), { message: /at least one encryption key/ })
})
