import test from 'ava'
import { createPasswords } from '../../../services/auth/passwords.ts'

const cheap = { memory: 64, passes: 1, parallelism: 1 }

test('a hash is argon2id as OWASP recommends it, in the PHC format, with a salt of its own', async (t) => {
  const passwords = createPasswords()
  const [one, two] = [await passwords.hash('correct horse'), await passwords.hash('correct horse')]
  t.regex(one!, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.not(one, two)
})

test('the password matches its hash, and no other does', async (t) => {
  const passwords = createPasswords({ cost: cheap })
  const hash = await passwords.hash('correct horse')
  t.deepEqual(await passwords.verify('correct horse', hash), { matches: true, outdated: false })
  t.like(await passwords.verify('correct horsf', hash), { matches: false })
  t.like(await passwords.verify('', hash), { matches: false })
})

test("another implementation's hash is understood", async (t) => {
  // RFC 9106 has no PHC string; this one is of the reference implementation's own test vectors (test.c).
  const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  const passwords = createPasswords()
  t.deepEqual(await passwords.verify('password', hash), { matches: true, outdated: true })
})

test('a hash of another cost is outdated', async (t) => {
  const old = await createPasswords({ cost: cheap }).hash('correct horse')
  const passwords = createPasswords({ cost: { ...cheap, passes: 2 } })
  t.deepEqual(await passwords.verify('correct horse', old), { matches: true, outdated: true })
})

test('nobody has any password', async (t) => {
  t.like(await createPasswords({ cost: cheap }).verify('x', undefined), { matches: false })
})

test('a user that does not exist takes as long to refuse as one that does', async (t) => {
  const passwords = createPasswords()
  const hash = await passwords.hash('correct horse')
  const fastest = { known: Number.POSITIVE_INFINITY, unknown: Number.POSITIVE_INFINITY }
  const alike = () => fastest.unknown > fastest.known / 2 && fastest.unknown < fastest.known * 2
  // The fastest of several is the one that a busy machine disturbed least.
  for (let i = 0; i < 5 || (i < 50 && !alike()); i += 1) {
    for (const [who, known] of [
      ['known', hash],
      ['unknown', undefined],
    ] as const) {
      const startedAt = performance.now()
      await passwords.verify('wrong', known)
      fastest[who] = Math.min(fastest[who], performance.now() - startedAt)
    }
  }
  t.log(`${fastest.known.toFixed(1)} ms and ${fastest.unknown.toFixed(1)} ms`)
  t.true(alike())
})

test('the main thread is free while a password is hashed', async (t) => {
  const passwords = createPasswords({ cost: { memory: 65_536, passes: 4, parallelism: 1 } })
  let ticks = 0
  const timer = setInterval(() => (ticks += 1), 1)
  await passwords.hash('correct horse')
  clearInterval(timer)
  t.true(ticks > 3, `${ticks} timers ran meanwhile`)
})

test('beyond those that may wait, 503 with Retry-After at once; the others are all served', async (t) => {
  const passwords = createPasswords({ width: 1, queue: 2 })
  const settled = await Promise.allSettled(Array.from({ length: 5 }, () => passwords.hash('correct horse')))
  const refused = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  t.is(refused.length, 2)
  for (const error of refused) t.like(error, { status: 503, code: 'busy', headers: { 'Retry-After': '1' } })
  await t.notThrowsAsync(passwords.hash('correct horse'), 'there is room again')
})

test('a stored hash that is none is an error that does not show it', async (t) => {
  const passwords = createPasswords({ cost: cheap })
  const error = await t.throwsAsync(passwords.verify('x', '$2b$10$hunter2'))
  t.false(error.message.includes('hunter2'))
})
