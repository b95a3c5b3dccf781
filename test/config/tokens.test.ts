import test from 'ava'
import { faultLines, load } from '../support/config.ts'

const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com' }
const key = (letter: string) => Buffer.from(letter.repeat(32)).toString('base64')

test('a development gateway knows the documented client, and has dummies', (t) => {
  const { tokens } = load(t)
  t.deepEqual(tokens.clients, [{ id: 'dev-client', secret: 'dev-secret' }])
  t.true(tokens.dummies)
})

test('a client may have two secrets, while one takes the place of the other', (t) => {
  const { tokens } = load(t, { env: { GATEWAY_CLIENTS: 'shop:old,web:x,shop:new' } })
  t.deepEqual(tokens.clients, [
    { id: 'shop', secret: 'old' },
    { id: 'web', secret: 'x' },
    { id: 'shop', secret: 'new' },
  ])
})

test('a production gateway knows nobody it was not told of, and has no dummies', (t) => {
  const { tokens } = load(t, { env: production })
  t.deepEqual(tokens.clients, [])
  t.false(tokens.dummies)
})

test('production refuses to start without a database and keys of the operator’s own', (t) => {
  t.deepEqual(faultLines(t, { env: { ...production, DATABASE_URL: '' } }), [
    'DATABASE_URL: found nothing in production, expected PostgreSQL; or DATA_DIR for the embedded database; or none',
    'ENCRYPTION_KEYS: found nothing in production, expected id:base64 of 32 bytes; openssl rand -base64 32 makes one',
  ])
})

test('production takes the embedded database where DATA_DIR is set in so many words', (t) => {
  const env = {
    ...production,
    DATABASE_URL: '',
    DATA_DIR: '/data',
    ENCRYPTION_KEYS: `a:${key('a')}`,
  }
  t.deepEqual(load(t, { env }).database, {
    kind: 'embedded',
    dataDir: '/data/database',
    encryptionKeys: { keys: [{ id: 'a', secret: key('a') }] },
  })
})

for (const secret of ['dev-secret', 'short']) {
  test(`production refuses a client whose secret is ${secret}, without showing it`, (t) => {
    const [line = ''] = faultLines(t, {
      env: { ...production, GATEWAY_CLIENTS: `dev-client:${secret}` },
    })
    t.regex(line, /^GATEWAY_CLIENTS: found a secret of dev-client that is easily guessed \(not shown\)/)
    t.false(line.replace('dev-client', '').includes(secret))
  })
}

const refused: Readonly<Record<string, readonly string[]>> = {
  DATABASE_URL: ['mysql://localhost/x', 'postgres://', 'nothing'],
  DATABASE_POOL_SIZE: ['1', '501', 'ten'],
  DATABASE_STATEMENT_TIMEOUT: ['0s', 'soon'],
  ENCRYPTION_KEYS: ['a', 'a:short', `a:${key('a')},a:${key('b')}`, `a:${key('a')},`],
  GATEWAY_CLIENTS: ['nobody', 'a:', ':b', 'a:b,a:b', 'a:b,a:c,a:d', 'a:b c', 'munjigi-docs:b'],
  ACCESS_TOKEN_LIFETIME: ['16m', '1h', '0m', 'long'],
  REFRESH_TOKEN_LIFETIME: ['401d', '0d'],
  SIGNING_KEY_LIFETIME: ['59m'],
  REFRESH_GRACE: ['61s'],
  REVOCATION_MAX_STALENESS: ['5s', '1s'],
  VERIFIED_TOKENS: ['-1', '1000001'],
  TRUSTED_ISSUERS: [
    'https://a',
    'https://a https://b',
    'ftp://a https://b c',
    'https://a https://b c,https://a https://b d',
    'http://localhost:8080 https://b c',
  ],
  USER_ID_HEADER: ['Authorization', 'X_User', 'X-User:', 'X-Request-Id', 'x-real-ip', 'X-Forwarded-For'],
  USER_SCOPE_HEADER: ['X-User-Id', 'x-user-id', 'X-Forwarded-User', 'X-REQUEST-ID'],
  USER_ISSUER_HEADER: ['X-User-Id', 'X-USER-SCOPE', 'X-Real-IP'],
  CORS_ORIGINS: ['*', 'https://a.example/path', 'null', 'a.example', 'https://*.example'],
  BODY_LIMIT: ['0', 'big', '1tb'],
  OVERLOAD_DELAY: ['200', 'soon', '25h'],
  TOKEN_RATE_LIMIT: ['20', '0/1m', '20/1d', '20/99999h', '20/25h'],
  TOKEN_FAILURE_LIMIT: ['x/1m'],
}
for (const [variable, values] of Object.entries(refused)) {
  test(`${variable} refuses what it is not, by name`, (t) => {
    for (const value of values) {
      const lines = faultLines(t, { env: { [variable]: value } })
      t.is(lines.length, 1, value)
      t.true(lines[0]?.startsWith(`${variable}: found `), lines[0])
    }
  })
}

test('of headers that are the same the later ones are named, each with the first', (t) => {
  const env = { USER_ID_HEADER: 'X-Caller', USER_SCOPE_HEADER: 'x-caller', USER_ISSUER_HEADER: 'X-CALLER' }
  t.deepEqual(faultLines(t, { env }), [
    'USER_SCOPE_HEADER: found "x-caller", as USER_ID_HEADER, expected a name of its own',
    'USER_ISSUER_HEADER: found "X-CALLER", as USER_ID_HEADER, expected a name of its own',
  ])
})

test('headers may trade their names, and have others than the gateway’s own', (t) => {
  const env = { USER_ID_HEADER: 'X-User-Scope', USER_SCOPE_HEADER: 'X-User-Id', USER_ISSUER_HEADER: 'X-Real' }
  t.deepEqual(load(t, { env }).tokens.headers, { id: 'X-User-Scope', scope: 'X-User-Id', issuer: 'X-Real' })
})

const issuer = 'https://login.example.com'

test('production reads no issuer’s keys over a connection that anybody may change', (t) => {
  for (const url of [
    'http://login.example.com/jwks',
    'http://10.0.0.7/jwks',
    'http://127.example.com/jwks',
  ]) {
    const [line, ...others] = faultLines(t, {
      env: { ...production, TRUSTED_ISSUERS: `${issuer} ${url} me` },
    })
    t.deepEqual(others, [])
    t.regex(line!, /^TRUSTED_ISSUERS: found .*expected an https URL of its JWKS in production$/)
    t.true(line?.includes(url))
  }
})

test('it does over https, and from its own machine; development from anywhere', (t) => {
  for (const url of [
    'https://a/jwks',
    'http://localhost:1/jwks',
    'http://127.0.0.9/jwks',
    'http://[::1]/jwks',
  ]) {
    t.notThrows(() => load(t, { env: { ...production, TRUSTED_ISSUERS: `${issuer} ${url} me` } }), url)
  }
  t.notThrows(() => load(t, { env: { TRUSTED_ISSUERS: `${issuer} http://login.example.com/jwks me` } }))
})

test('no value of a secret is ever shown', (t) => {
  const secrets = {
    DATABASE_URL: 'mysql://u:hunter2@h/x',
    ENCRYPTION_KEYS: 'hunter2',
    GATEWAY_CLIENTS: 'hunter2',
  }
  t.notRegex(faultLines(t, { env: secrets }).join('\n'), /hunter2/)
})

test('settings are read as they are meant', (t) => {
  const { tokens, protection } = load(t, {
    env: {
      PUBLIC_URL: 'https://www.jinmini.com/',
      ACCESS_TOKEN_LIFETIME: '90s',
      SESSION_LIFETIME: '12h',
      TRUSTED_ISSUERS: 'https://a https://a/jwks one,  https://b https://b/jwks two',
      CORS_ORIGINS: 'https://App.jinmini.com, http://localhost:3000',
      BODY_LIMIT: '10MB',
      TOKEN_RATE_LIMIT: '5/2m',
    },
  })
  t.like(tokens, {
    issuer: 'https://www.jinmini.com',
    audience: 'https://www.jinmini.com',
    accessTokenLifetime: 90,
    sessionLifetime: 43_200,
  })
  t.deepEqual(
    tokens.trustedIssuers.map(({ jwksUrl, audience }) => [jwksUrl, audience]),
    [
      ['https://a/jwks', 'one'],
      ['https://b/jwks', 'two'],
    ],
  )
  t.deepEqual(protection, {
    corsOrigins: ['https://app.jinmini.com', 'http://localhost:3000'],
    bodyLimit: 10 * 1024 ** 2,
    overloadDelayMs: 200,
    tokenRate: { points: 5, seconds: 120 },
    tokenFailureRate: { points: 20, seconds: 60 },
  })
})
