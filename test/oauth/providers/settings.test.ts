import test from 'ava'
import type { ProviderKind } from '../../../src/oauth/provider.ts'
import { providerKinds } from '../../../src/oauth/providers/index.ts'

const kind = (name: string): ProviderKind => providerKinds.find((one) => one.name === name)!
const google = { GOOGLE_CLIENT_ID: 'id', GOOGLE_CLIENT_SECRET: 'secret' }
const corp = { OIDC_PROVIDERS: 'corp', OIDC_CORP_ISSUER: 'https://id.example.com', OIDC_CORP_CLIENT_ID: 'id' }

for (const { name, read } of providerKinds) {
  if (name === 'oidc') continue
  const prefix = name.toUpperCase()

  test(`${name} is off without a client id, and says what it lacks`, (t) => {
    const { configured, off, faults } = read({}, true)
    t.deepEqual([configured, faults], [[], []])
    t.deepEqual(off[0]?.missing, [`${prefix}_CLIENT_ID`, `${prefix}_CLIENT_SECRET`])
  })

  test(`${name} is faulty with a client id and no secret`, (t) => {
    const { configured, faults } = read({ [`${prefix}_CLIENT_ID`]: 'id' }, false)
    t.is(configured.length, 0)
    t.deepEqual(
      faults.map((one) => one.variable),
      [`${prefix}_CLIENT_SECRET`],
    )
  })

  test(`${name} documents every variable, and marks its secrets`, (t) => {
    const { variables } = kind(name)
    t.true(variables[`${prefix}_CLIENT_SECRET`]?.secret)
    for (const one of ['CLIENT_ID', 'SCOPE', 'AUTHORIZATION_URL', 'TOKEN_URL', 'PROFILE_URL']) {
      t.truthy(variables[`${prefix}_${one}`]?.description, one)
    }
  })
}

test('an http endpoint of another machine is a fault in production, and none of this machine', (t) => {
  const read = (url: string, production: boolean) =>
    kind('google').read({ ...google, GOOGLE_TOKEN_URL: url }, production).faults
  t.deepEqual(read('http://id.example.com/token', true), [
    { variable: 'GOOGLE_TOKEN_URL', expected: 'an https URL in production' },
  ])
  t.deepEqual(read('http://id.example.com/token', false), [])
  t.deepEqual(read('http://127.0.0.1:9000/token', true), [])
})

test('every fault is told at once', (t) => {
  const env = {
    GOOGLE_CLIENT_ID: 'id',
    GOOGLE_TOKEN_URL: 'ftp://x',
    GOOGLE_SCOPE: 'a\tb',
    GOOGLE_JWKS_URL: 'x',
  }
  t.deepEqual(
    kind('google')
      .read(env, false)
      .faults.map((one) => one.variable)
      .sort(),
    ['GOOGLE_CLIENT_SECRET', 'GOOGLE_JWKS_URL', 'GOOGLE_SCOPE', 'GOOGLE_TOKEN_URL'],
  )
})

test("the version of Facebook's Graph is a setting, and a faulty one is a fault", async (t) => {
  const env = { FACEBOOK_CLIENT_ID: 'id', FACEBOOK_CLIENT_SECRET: 'secret', FACEBOOK_GRAPH_VERSION: 'v99.0' }
  const [configured] = kind('facebook').read(env, true).configured
  const request = { redirectUri: 'https://g.example.com/cb', state: 's', nonce: 'n', codeVerifier: 'v' }
  const url = await configured!.create({ timeoutMs: 1000 }).authorizationUrl(request)
  t.is(url.pathname, '/v99.0/dialog/oauth')
  const { faults } = kind('facebook').read({ ...env, FACEBOOK_GRAPH_VERSION: '24' }, true)
  t.deepEqual(faults, [{ variable: 'FACEBOOK_GRAPH_VERSION', expected: 'a version such as v24.0' }])
})

test('an issuer needs an address and a client id, and a public client no secret', (t) => {
  const { read } = kind('oidc')
  t.deepEqual(read({}, true), { configured: [], off: [], faults: [] })
  t.deepEqual(
    read({ OIDC_PROVIDERS: 'my-corp' }, true).faults.map((one) => one.variable),
    ['OIDC_MY_CORP_ISSUER', 'OIDC_MY_CORP_CLIENT_ID'],
  )
  const [configured] = read({ ...corp, OIDC_CORP_TITLE: 'Corp' }, true).configured
  t.like(configured, { name: 'corp', title: 'Corp' })
})

for (const name of [
  'google',
  'microsoft',
  'oidc',
  'login',
  'providers',
  'Corp',
  '1corp',
  'a_b',
  '',
  'corp,corp',
]) {
  test(`an issuer cannot be called ${JSON.stringify(name)}`, (t) => {
    const { faults } = kind('oidc').read({ ...corp, OIDC_PROVIDERS: name }, true)
    t.deepEqual(
      faults.map((one) => one.variable),
      ['OIDC_PROVIDERS'],
    )
  })
}

test('an issuer over http of another machine is a fault in production', (t) => {
  const env = { ...corp, OIDC_CORP_ISSUER: 'http://id.example.com' }
  t.deepEqual(
    kind('oidc')
      .read(env, true)
      .faults.map((one) => one.variable),
    ['OIDC_CORP_ISSUER'],
  )
  t.is(kind('oidc').read(env, false).configured.length, 1)
})
