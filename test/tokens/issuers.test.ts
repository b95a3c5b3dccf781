import test from 'ava'
import { createGuard } from '../../src/tokens/guard.ts'
import { createTrustedIssuer } from '../../src/tokens/issuers.ts'
import { createVerifiedTokens } from '../../src/tokens/verified.ts'
import { createVerifier, type Verifier } from '../../src/tokens/verify.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { until } from '../support/until.ts'

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function trusting(from: TestIssuer, now?: () => number) {
  const [issuer = '', jwksUrl = '', audience = ''] = from.setting.split(' ')
  const trusted = createTrustedIssuer({ issuer, jwksUrl, audience, log, ...(now && { now }) })
  return createVerifier({
    keys: undefined,
    issuer: 'http://localhost:8080',
    audience: 'door',
    trusted: [trusted],
  })
}

for (const algorithm of ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA', 'Ed25519']) {
  test(`${algorithm}: a token of a trusted issuer is verified by its JWKS`, async (t) => {
    const from = await startIssuer(t, algorithm)
    const { identity } = await trusting(from).verify(await from.token({ scp: ['a', 'b'], azp: 'app' }))
    t.like(identity, { subject: 'user-1', issuer: from.issuer, scope: 'a b', clientId: 'app' })
  })
}

test('known keys outlive an issuer that is away, for as long as it takes', async (t) => {
  const from = await startIssuer(t)
  let now = 0
  const verifier = trusting(from, () => now)
  await verifier.verify(await from.token())
  await from.close()
  for (const hours of [1, 24, 24 * 30]) {
    now = hours * 3_600_000
    await t.notThrowsAsync(verifier.verify(await from.token()))
  }
})

test('a key that is new since is found, and asked for only once in a while', async (t) => {
  const from = await startIssuer(t)
  let now = 0
  const verifier = trusting(from, () => now)
  await verifier.verify(await from.token())
  await from.rotate()
  await t.throwsAsync(verifier.verify(await from.token()), { message: /not valid/ })
  t.is(from.asked(), 1)
  now = 31_000
  await verifier.verify(await from.token())
  t.is(from.asked(), 2)
})

test('invented key ids make no requests of their own', async (t) => {
  const from = await startIssuer(t)
  let now = 0
  const verifier = trusting(from, () => now)
  await verifier.verify(await from.token())
  for (let i = 0; i < 50; i += 1) {
    now += 1000
    await t.throwsAsync(verifier.verify(await from.token({}, { kid: `invented-${i}` })), {
      message: /not valid/,
    })
  }
  t.is(from.asked(), 2)
})

test('an issuer whose keys were never had makes its tokens unknown, not invalid', async (t) => {
  const from = await startIssuer(t)
  from.answerWith(500)
  const verifier = trusting(from)
  const error = await t.throwsAsync(verifier.verify(await from.token()))
  t.like(error, { code: 'token_state_unknown', status: 503 })
})

const isRefused = (verifier: Verifier, token: string) =>
  verifier.verify(token).then(
    () => false,
    ({ code }) => code === 'invalid_token',
  )

test('a token whose key has left the JWKS is refused once the keys were fetched again', async (t) => {
  const from = await startIssuer(t)
  let now = 0
  const verifier = trusting(from, () => now)
  const token = await from.token()
  await verifier.verify(token)
  await from.rotate()
  from.forget()
  now = 601_000
  await t.notThrowsAsync(verifier.verify(token), 'the known keys are used while others are asked for')
  await until(() => isRefused(verifier, token), 'the new keys were had')
  t.is(from.asked(), 2)
})

test('a verified token is not remembered for longer than ten minutes, whatever its end', async (t) => {
  const from = await startIssuer(t)
  let elapsedMs = 0
  const startedAt = Date.now()
  const verifier = trusting(from, () => elapsedMs)
  const guard = createGuard({
    verifier,
    verified: createVerifiedTokens(10),
    revocations: undefined,
    issuer: 'http://localhost:8080',
    dummies: undefined,
    headers: { id: 'X-User-Id', scope: 'X-User-Scope', issuer: 'X-User-Issuer' },
    now: () => startedAt + elapsedMs,
  })
  const token = await from.token({ exp: Math.floor(startedAt / 1000) + 86_400 })
  const ask = () =>
    guard({ auth: 'required', scopes: [], service: 'house' }, ['Authorization', `Bearer ${token}`])
  // One that was left alone would be remembered whenever it ended.
  const first = ask()
  t.true(first instanceof Promise, 'it is verified')
  await first
  elapsedMs = 599_000
  t.like(ask(), { identity: { subject: 'user-1' } }, 'it is remembered')
  await from.rotate()
  from.forget()
  elapsedMs = 601_000
  const again = ask()
  t.true(again instanceof Promise, 'it is verified anew')
  await again
  await until(() => isRefused(verifier, token), 'the new keys were had')
  elapsedMs = 1_202_000
  await t.throwsAsync(async () => ask(), { message: /not valid/ })
})

test('what stands for a scope and is none makes a token invalid, not one without scope', async (t) => {
  const from = await startIssuer(t)
  const verifier = trusting(from)
  const bad = [
    { scp: ['a', 7] },
    { scp: [['a']] },
    { scope: [null] },
    { scope: 7 },
    { scp: { a: 1 } },
    { scp: ['a b'] },
  ]
  for (const claims of bad) {
    const error = await t.throwsAsync(
      verifier.verify(await from.token(claims)),
      undefined,
      JSON.stringify(claims),
    )
    t.like(error, { code: 'invalid_token' })
  }
  for (const claims of [{ scp: 'a b' }, { scope: ['a', 'b'] }, { scope: 'a b', scp: 'c' }]) {
    t.is((await verifier.verify(await from.token(claims))).identity.scope, 'a b')
  }
  for (const claims of [{}, { scp: [] }, { scope: '' }, { scope: null }]) {
    t.is((await verifier.verify(await from.token(claims))).identity.scope, '')
  }
})

const refused: Readonly<Record<string, (from: TestIssuer) => Promise<string>>> = {
  'for another audience': (from) => from.token({ aud: 'somebody-else' }),
  'without an audience': (from) => from.token({ aud: undefined }),
  'of another issuer': (from) => from.token({ iss: 'https://evil.example.com' }),
  'without an end': (from) => from.token({ exp: undefined }),
  'without a subject': (from) => from.token({ sub: undefined }),
  'for later': (from) => from.token({ nbf: Math.floor(Date.now() / 1000) + 60 }),
  'of another type': (from) => from.token({}, { typ: 'logout+jwt' }),
  'that is an ID token by its nonce': (from) => from.token({ nonce: 'n-0S6_WzA2Mj' }, { typ: 'JWT' }),
  'that is an ID token by its at_hash': (from) => from.token({ at_hash: '77QmUPtjPfzWtF2AnpK9RQ' }),
  'that is an ID token by its c_hash': (from) => from.token({ c_hash: 'LDktKdoQak3Pk0cnXxCltA' }),
  'with a subject that no header carries': (from) => from.token({ sub: 'a\r\nX-Admin: 1' }),
  'with a subject that is no text': (from) => from.token({ sub: 7 as unknown as string }),
}
for (const [name, make] of Object.entries(refused)) {
  test(`a token ${name} is refused`, async (t) => {
    const from = await startIssuer(t)
    const error = await t.throwsAsync(trusting(from).verify(await make(from)))
    t.like(error, { code: 'invalid_token', status: 401 })
  })
}
