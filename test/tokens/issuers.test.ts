import test from 'ava'
import { createTrustedIssuer } from '../../src/tokens/issuers.ts'
import { createVerifier } from '../../src/tokens/verify.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'

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

const refused: Readonly<Record<string, (from: TestIssuer) => Promise<string>>> = {
  'for another audience': (from) => from.token({ aud: 'somebody-else' }),
  'without an audience': (from) => from.token({ aud: undefined }),
  'of another issuer': (from) => from.token({ iss: 'https://evil.example.com' }),
  'without an end': (from) => from.token({ exp: undefined }),
  'without a subject': (from) => from.token({ sub: undefined }),
  'for later': (from) => from.token({ nbf: Math.floor(Date.now() / 1000) + 60 }),
  'of another type': (from) => from.token({}, { typ: 'logout+jwt' }),
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
