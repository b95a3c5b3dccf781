import test from 'ava'
import { GatewayError } from '../../src/errors.ts'
import { createInject, createProviderTokenOf } from '../../src/oauth/inject.ts'
import type { Connection, FreshConnection } from '../../src/oauth/vault/vault.ts'
import type { Identity } from '../../src/tokens/identity.ts'

const issuer = 'https://gateway.example.com'
const identity: Identity = {
  subject: 'user-1',
  issuer,
  clientId: 'munjigi',
  scopes: new Set(),
  scope: '',
  tokenId: undefined,
  sessionId: undefined,
  expiresAt: 4_000_000_000,
}
const connection: Connection = {
  id: 'c1',
  subject: 'user-1',
  provider: 'kakao',
  profile: { id: '1', emailVerified: false },
  scope: '',
  tokenType: 'Bearer',
  expiresAt: undefined,
  createdAt: new Date(),
  updatedAt: new Date(),
  lastRefreshedAt: undefined,
  state: 'active',
}

const tokenOf = (latest: Connection | undefined, fresh: () => Promise<FreshConnection>) =>
  createProviderTokenOf({
    vault: { latest: async () => latest, fresh },
    issuer,
    providers: new Map([['kakao', { title: 'Kakao' }]]),
    loginUrl: (provider) => `https://gateway.example.com/oauth/${provider}/login`,
  })
const good = async () => ({ ...connection, accessToken: 'fresh' })
const failing = (code: 'reauthorization_required' | 'not_found' | 'provider_timeout') => async () => {
  throw new GatewayError(code)
}

test('gives the token of the connection that the caller has', async (t) => {
  t.is(await tokenOf(connection, good)(identity, 'kakao'), 'fresh')
})

for (const [why, who, latest, fresh] of [
  ['has no connection', identity, undefined, good],
  ['has to log in there anew', identity, { ...connection, state: 'needs_reauth' as const }, good],
  ['has one that died just now', identity, connection, failing('reauthorization_required')],
  ['has one that was removed just now', identity, connection, failing('not_found')],
  ['is a user of another issuer', { ...identity, issuer: 'https://other.example.com' }, connection, good],
] as const) {
  test(`a caller who ${why} is told where to log in`, async (t) => {
    const error = await t.throwsAsync<GatewayError>(tokenOf(latest, fresh)(who, 'kakao'))
    t.is(error?.code, 'connection_required')
    t.is(error?.status, 403)
    t.deepEqual(error?.members, { login_url: 'https://gateway.example.com/oauth/kakao/login' })
  })
}

test('a provider that is not configured has no login to be sent to', async (t) => {
  const error = await t.throwsAsync<GatewayError>(tokenOf(undefined, good)(identity, 'google'))
  t.is(error?.code, 'connection_required')
  t.deepEqual(error?.members, {})
})

test('a provider that is away is not the caller’s fault', async (t) => {
  const asked = tokenOf(connection, failing('provider_timeout'))(identity, 'kakao')
  await t.throwsAsync(asked, { code: 'provider_timeout' })
})

const pass = { identity, headers: ['X-User-Id', 'user-1'] }

test('the token is handed on beside who is calling', async (t) => {
  const inject = createInject({
    providerTokenOf: async (who, provider) => `${provider} of ${who.subject}`,
    header: 'X-Provider-Token',
  })
  t.deepEqual((await inject(pass, 'kakao')).headers, [
    ...['X-User-Id', 'user-1'],
    ...['X-Provider-Token', 'kakao of user-1'],
  ])
})

test('a gateway without a vault says so', async (t) => {
  const inject = createInject({ providerTokenOf: undefined, header: 'X-Provider-Token' })
  await t.throwsAsync(inject(pass, 'kakao'), { code: 'connection_required' })
})
