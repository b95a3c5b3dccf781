import test from 'ava'
import { faultLines, load, loadError, spot } from '../support/config.ts'

test('without anything said the defaults of development hold', (t) => {
  const { discovery, services, urls, tokens: _t, protection: _p, admin: _a, oauth: _o, ...config } = load(t)
  t.deepEqual(config, {
    environment: 'development',
    host: 'localhost',
    port: 8080,
    publicUrl: 'http://localhost:8080',
    routePrefix: '',
    logLevel: 'info',
    logPaths: 'full',
    tracing: undefined,
    trustedProxies: [],
    cacheSizeBytes: 64 * 1024 * 1024,
    timeouts: { connectMs: 2000, requestMs: 15_000, idleMs: 60_000, webSocketIdleMs: 600_000 },
    drain: { delayMs: 0, timeoutMs: 10_000 },
    workers: 1,
    database: { kind: 'none' },
    registration: undefined,
  })
  t.is(discovery.holdMs, 30_000)
  t.deepEqual(
    discovery.sources.map(({ source }) => source.name),
    ['static'],
  )
  t.is(services.size, 0)
  t.is(urls.size, 0)
})

test('production listens on every address and waits before it drains', (t) => {
  const { host, drain } = load(t, {
    env: { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com' },
  })
  t.is(host, '0.0.0.0')
  t.is(drain.delayMs, 5000)
})

test('the public URL follows the port unless it is said', (t) => {
  t.is(load(t, { env: { PORT: '9000' } }).publicUrl, 'http://localhost:9000')
  t.is(
    load(t, { env: { PORT: '9000', PUBLIC_URL: 'https://www.jinmini.com/' } }).publicUrl,
    'https://www.jinmini.com',
  )
})

test('production takes no public URL for granted, with or without a database', (t) => {
  for (const NODE_ENV of ['production', ' production ']) {
    t.deepEqual(faultLines(t, { env: { NODE_ENV, PUBLIC_URL: ' ' } }), [
      'PUBLIC_URL: found nothing in production, expected what browsers see, such as https://www.jinmini.com: issuer and audience come from it',
    ])
  }
})

test('.env is read, and the real environment wins over it', (t) => {
  const config = load(t, { dotEnv: 'PORT=9000\nHOST="127.0.0.1" # here\n', env: { PORT: '9001' } })
  t.is(config.port, 9001)
  t.is(config.host, '127.0.0.1')
})

test('an empty variable counts as unset', (t) => {
  const config = load(t, { env: { PORT: '', ROUTE_PREFIX: ' ', GATEWAY_CONFIG: '' }, dotEnv: 'HOST=\n' })
  t.is(config.port, 8080)
  t.is(config.host, 'localhost')
  t.is(config.routePrefix, '')
})

test('a line of .env that sets nothing is a fault that does not show the line', (t) => {
  const dotEnv = '# fine\n\nexport A=1\nB="two\nlines" # fine\nCONSUL_HTTP_TOKEN hunter2\nPORT=9000\n'
  const { message } = loadError(t, { dotEnv })
  t.true(message.includes('.env:6:1: found a line that sets nothing, expected NAME=value'))
  t.false(message.includes('hunter2'))
})

test('durations are read in ms, s, m and h, with fractions', (t) => {
  const readings = { '500ms': 500, '2.3s': 2300, '2m': 120_000, '1h': 3_600_000 }
  for (const [text, ms] of Object.entries(readings)) {
    t.is(load(t, { env: { REQUEST_TIMEOUT: text } }).timeouts.requestMs, ms, text)
  }
})

test('addresses of trusted proxies become CIDRs', (t) => {
  const { trustedProxies } = load(t, { env: { TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.1,::1, fd00::/8' } })
  t.deepEqual(trustedProxies, ['10.0.0.0/8', '192.0.2.1/32', '::1/128', 'fd00::/8'])
})

test('an IPv6 host may be written in brackets', (t) => {
  t.is(load(t, { env: { HOST: '[::1]' } }).host, '::1')
})

const bad: Record<string, readonly string[]> = {
  PORT: ['x', '-1', '65536', '80.5', '0x50', '1e3'],
  HOST: ['http://localhost', 'localhost:80', 'a b', '999.1.1.1', '-x'],
  PUBLIC_URL: [
    'www.jinmini.com',
    'ftp://x',
    'https://x/path',
    'https://x?q=1',
    'https://x#f',
    'https://u@x',
    'https://x:99999',
  ],
  ROUTE_PREFIX: ['e', '/e/', '/', '/a//b', '/a/../b', '/%2e', '/a?b'],
  NODE_ENV: ['prod', 'Development'],
  LOG_LEVEL: ['verbose', 'INFO'],
  TRUSTED_PROXIES: [
    '10.0.0.0/33',
    '10.0.0',
    'localhost',
    '::1/129',
    '10.0.0.1,',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
  ],
  CONNECT_TIMEOUT: ['2', '0s', '-1s', '2 s', '25h', '1d', 'Infinity'],
  REQUEST_TIMEOUT: ['soon'],
  IDLE_TIMEOUT: ['0.1ms'],
  WEBSOCKET_IDLE_TIMEOUT: ['0m'],
  DRAIN_DELAY: ['-1s'],
  DRAIN_TIMEOUT: ['0s'],
  DISCOVERY_HOLD: ['30'],
  REGISTER: ['maybe', 'true'],
  GATEWAY_SERVICE_NAME: ['a b', '-a', 'a.b'],
  ADVERTISE_HOST: ['0.0.0.0', 'http://x'],
  GATEWAY_CONFIG: ['missing.yaml', '.'],
  DISCOVERY: ['statik', 'static,static', 'static,', 'toString'],
}

for (const [variable, values] of Object.entries(bad)) {
  test(`${variable} is refused by name where it makes no sense`, (t) => {
    for (const value of values) {
      const { faults } = loadError(t, { env: { [variable]: value } })
      t.deepEqual(faults.map(spot), [variable], value)
      t.not(faults[0]?.expected, '', value)
    }
  })
}

test('a fault says what was found and what was expected', (t) => {
  t.is(
    loadError(t, { env: { CONNECT_TIMEOUT: '2' } }).message,
    'The configuration has a fault:\n  CONNECT_TIMEOUT: found "2", expected a duration such as 500ms, 15s or 2m',
  )
})

test('every fault of the environment, .env and gateway.yaml is reported at once', (t) => {
  const error = loadError(t, {
    env: { PORT: 'x', HOST: 'a b', AUTH_SERVICE_URL: 'ftp://auth', DISCOVERY: 'static,nowhere' },
    dotEnv: 'LOG_LEVEL=loud\n',
    yaml: 'services:\n  auth:\n    strp: /api\n    auth: nobody\n',
  })
  t.deepEqual(error.faults.map(spot), [
    'PORT',
    'HOST',
    'LOG_LEVEL',
    'AUTH_SERVICE_URL',
    'DISCOVERY',
    '3 services.auth.strp',
    '4 services.auth.auth',
  ])
  t.is(error.message.split('\n').length, 1 + error.faults.length)
})

test('user information and queries of URLs are not shown', (t) => {
  const env = {
    PUBLIC_URL: 'https://me:hunter2@x?key=hunter3',
    AUTH_SERVICE_URL: 'http://me:hunter4,hunter5@auth',
    CARTS_SERVICE_URL: 'http://carts?key=hunter6',
  }
  const { message, faults } = loadError(t, { env })
  t.is(faults.length, 3)
  t.notRegex(message, /hunter/)
})

test('a long or many-lined value is shown short and on one line', (t) => {
  const { message } = loadError(t, { env: { PORT: `${'9'.repeat(5000)}\n\u001b[31m` } })
  t.is(message.split('\n').length, 2)
  t.true(message.length < 300)
  t.false(message.includes('\u001b'))
})
