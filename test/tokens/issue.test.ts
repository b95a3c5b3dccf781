import test from 'ava'
import { generateKeyPair, jwtVerify } from 'jose'
import { createIssuer, type IssueRequest, reservedClaims } from '../../src/tokens/issue.ts'

const now = () => Date.parse('2026-11-22T12:00:00.700Z')
const { privateKey, publicKey } = await generateKeyPair('ES256')
const issuer = createIssuer({
  keys: { active: () => ({ kid: 'k1', algorithm: 'ES256', privateKey }) },
  issuer: 'https://gateway.test',
  audience: 'https://gateway.test/',
  accessTokenLifetimeSeconds: 900,
  now,
})
const request: IssueRequest = {
  subject: 'ada',
  clientId: 'web',
  scope: 'read write',
  audience: ['api'],
  claims: {},
  sessionId: 'session-1',
}

/** What the token says, verified as others do it. */
async function claimsOf(given: Partial<IssueRequest> = {}) {
  const { token } = await issuer.issue({ ...request, ...given })
  return (await jwtVerify(token, publicKey, { currentDate: new Date(now()), typ: 'at+jwt' })).payload
}

test('an access token has the header and the claims of RFC 9068', async (t) => {
  const issued = await issuer.issue(request)
  const { payload, protectedHeader } = await jwtVerify(issued.token, publicKey, {
    currentDate: new Date(now()),
  })
  t.deepEqual(protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
  const issuedAt = Date.parse('2026-11-22T12:00:00Z') / 1000
  t.deepEqual(payload, {
    iss: 'https://gateway.test',
    aud: 'api',
    sub: 'ada',
    client_id: 'web',
    iat: issuedAt,
    exp: issuedAt + 900,
    jti: issued.tokenId,
    sid: 'session-1',
    scope: 'read write',
  })
  t.like(issued, { issuedAt, expiresAt: issuedAt + 900 })
})

test('no two tokens have the same id', async (t) => {
  const issued = await Promise.all(Array.from({ length: 50 }, () => issuer.issue(request)))
  t.is(new Set(issued.map(({ tokenId }) => tokenId)).size, 50)
})

test('several audiences are a list', async (t) => {
  t.deepEqual((await claimsOf({ audience: ['api', 'reports'] })).aud, ['api', 'reports'])
})

test('without a scope there is no scope claim', async (t) => {
  t.false('scope' in (await claimsOf({ scope: '' })))
})

test('further claims are added', async (t) => {
  const claims = { email: 'ada@example.com', roles: ['admin'], nested: { deep: true } }
  t.like(await claimsOf({ claims }), claims)
})

test('no further claim takes the place of one of the gateway’s own', async (t) => {
  const forged = Object.fromEntries([...reservedClaims].map((name) => [name, 'forged']))
  const claims = await claimsOf({ claims: forged, scope: '' })
  t.false(Object.values(claims).includes('forged'))
  t.false('scope' in claims)
  t.false('nbf' in claims)
})

test('without a key to sign with the database is said to be unavailable', async (t) => {
  const early = createIssuer({
    keys: { active: () => undefined },
    issuer: 'https://gateway.test',
    audience: 'https://gateway.test',
    accessTokenLifetimeSeconds: 900,
  })
  await t.throwsAsync(early.issue(request), { name: 'GatewayError', code: 'database_unavailable' })
})
