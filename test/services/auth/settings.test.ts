import { join } from 'node:path'
import test from 'ava'
import { readAuthSettings } from '../../../services/auth/settings.ts'

test('in development everything has a default, the documented client too', (t) => {
  t.deepEqual(readAuthSettings({}), {
    host: 'localhost',
    port: 8001,
    database: {
      kind: 'embedded',
      dataDir: join(process.cwd(), '.data', 'auth'),
      encryptionKeys: { file: join(process.cwd(), '.data', 'encryption-keys') },
    },
    gatewayUrl: 'http://localhost:8080',
    client: { id: 'dev-client', secret: 'dev-secret' },
    identity: {
      headers: { id: 'X-User-Id', scope: 'X-User-Scope', issuer: 'X-User-Issuer' },
      issuer: 'http://localhost:8080',
    },
    limits: { login: { points: 10, seconds: 900 }, address: { points: 100, seconds: 900 } },
  })
})

test('what the gateway is told too is read as the gateway reads it', (t) => {
  const settings = readAuthSettings({
    DATABASE_URL: 'postgres://auth:pw@db:5432/app',
    DATABASE_POOL_SIZE: '7',
    DATABASE_STATEMENT_TIMEOUT: '3s',
    PUBLIC_URL: 'https://www.jinmini.com/',
    USER_ID_HEADER: 'X-Caller',
  })
  t.like(settings.database, {
    kind: 'postgres',
    poolSize: 7,
    statementTimeoutMs: 3000,
    connectTimeoutMs: 2000,
  })
  t.like(settings.identity, { issuer: 'https://www.jinmini.com', headers: { id: 'X-Caller' } })
})

test('GATEWAY_URL may have a route prefix, and a slash at its end', (t) => {
  t.is(readAuthSettings({ GATEWAY_URL: 'http://gateway:8080/e/' }).gatewayUrl, 'http://gateway:8080/e')
})

test('an empty variable counts as unset', (t) => {
  t.is(readAuthSettings({ GATEWAY_URL: '', AUTH_PORT: ' ' }).port, 8001)
})

const withUrl = { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com' }
const production = { ...withUrl, AUTH_CLIENT_ID: 'auth', AUTH_CLIENT_SECRET: 's'.repeat(20) }

test('production takes neither the documented client nor an embedded database that nobody asked for', (t) => {
  const error = t.throws(() => readAuthSettings({ NODE_ENV: 'production' }))
  for (const name of ['DATABASE_URL', 'PUBLIC_URL', 'AUTH_CLIENT_ID', 'AUTH_CLIENT_SECRET'])
    t.true(error.message.includes(name))
  t.false(error.message.includes('ENCRYPTION_KEYS'), 'those are for the gateway alone')
})

test('production with a client and a database needs no more', (t) => {
  const { host, database } = readAuthSettings({ ...production, DATABASE_URL: 'postgres://db/app' })
  t.is(host, '0.0.0.0')
  t.is(database.kind, 'postgres')
})

test('production without a database needs no client either', (t) => {
  t.is(readAuthSettings({ ...withUrl, DATABASE_URL: 'none' }).database.kind, 'none')
})

for (const [name, value] of Object.entries({
  GATEWAY_URL: 'gateway:8080',
  DATABASE_URL: 'mysql://root:hunter2@db/app',
  DATABASE_CONNECT_TIMEOUT: 'soon',
  AUTH_LOGIN_LIMIT: '10 per minute',
  AUTH_ADDRESS_LIMIT: '0/1m',
  PUBLIC_URL: 'www.jinmini.com',
})) {
  test(`${name}=${value} is refused by name, without showing a secret`, (t) => {
    const { message } = t.throws(() => readAuthSettings({ [name]: value }))
    t.regex(message, new RegExp(`^${name}: expected `))
    t.false(message.includes('hunter2'))
    t.is(message.split('\n').length, 1)
  })
}

test('all faults are named at once', (t) => {
  const { message } = t.throws(() =>
    readAuthSettings({ AUTH_PORT: 'x', GATEWAY_URL: 'x', DATABASE_URL: 'x' }),
  )
  for (const name of ['AUTH_PORT', 'GATEWAY_URL', 'DATABASE_URL']) t.true(message.includes(`${name}: `))
})

test("a fault of a variable that is the gateway's alone does not stop this service", (t) => {
  t.notThrows(() => readAuthSettings({ TRUSTED_PROXIES: 'everybody', PORT: 'x', HOST: 'a b' }))
})
