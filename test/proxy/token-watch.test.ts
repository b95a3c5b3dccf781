import { setTimeout as delay } from 'node:timers/promises'
import { createTokenWatch } from '../../src/proxy/token-watch.ts'
import type { Identity } from '../../src/tokens/identity.ts'
import { calmTest as test } from '../support/calm.ts'
import { until } from '../support/until.ts'

const identity = (subject: string, expiresAt: number): Identity => ({
  subject,
  issuer: 'https://www.example.com',
  clientId: undefined,
  scopes: new Set(),
  scope: '',
  tokenId: subject,
  sessionId: undefined,
  expiresAt,
})

/** A watch with a clock and revocations that the test sets. */
function watching() {
  const time = { ms: 0 }
  const revoked = new Set<string>()
  const asked: string[] = []
  const ended: string[] = []
  const watch = createTokenWatch({
    intervalMs: 5,
    now: () => time.ms,
    isRevoked({ subject }) {
      asked.push(subject)
      return revoked.has(subject)
    },
  })
  const add = (subject: string, expiresAt: number) =>
    watch.add(identity(subject, expiresAt), () => ended.push(subject))
  return { time, revoked, asked, ended, add }
}

/** Until everybody has been looked at again. */
async function looked(asked: string[]): Promise<void> {
  asked.length = 0
  await until(() => asked.length > 2, 'it is looked')
}

test('what was opened with a token ends with it, in its very second', async (t) => {
  const { time, asked, ended, add } = watching()
  add('one', 10)
  add('other', 20)
  time.ms = 9999
  await looked(asked)
  t.deepEqual(ended, [])
  time.ms = 10_000
  await until(() => ended.length > 0, 'it ends')
  await looked(asked)
  t.deepEqual(ended, ['one'])
})

test('one that lives longer than a timer can wait is left alone meanwhile', async (t) => {
  const { asked, ended, add } = watching()
  add('long', 10 * 365 * 86_400)
  await looked(asked)
  t.deepEqual(ended, [])
})

test('what was opened with a revoked token ends, once', async (t) => {
  const { revoked, asked, ended, add } = watching()
  add('one', 1000)
  add('other', 1000)
  revoked.add('one')
  await until(() => ended.length > 0, 'it ends')
  await looked(asked)
  t.deepEqual(ended, ['one'])
  t.deepEqual([...new Set(asked)], ['other'])
})

test('what has closed by itself is not watched any more, and with none left nobody looks', async (t) => {
  const { revoked, asked, ended, add } = watching()
  const forget = add('one', 1000)
  await looked(asked)
  forget()
  forget()
  revoked.add('one')
  asked.length = 0
  await delay(30)
  t.deepEqual(asked, [])
  t.deepEqual(ended, [])
  add('later', 1000)
  await looked(asked)
  t.pass('it looks again when there is one again')
})
