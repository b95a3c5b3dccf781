// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders of gateway.yaml look like that
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { loadConfig } from '../../src/config/load.ts'
import { discoverySources } from '../../src/discovery/sources/index.ts'
import { configFolder, faultLines, load, loadError, spot } from '../support/config.ts'

test('services are described as the file says, with types or as text', (t) => {
  const yaml = `
services:
  auth:
    urls: [http://localhost:8001]
    path: [/api/users, /api/user]
    strip: /api
    auth: none
  carts:
    enable: "true"
    path: /carts
    strip: ""
    scope: carts:read carts:write
    timeout: 1.5s
    retries: "2"
    openapi: false
    inject: google
    port: "8080"
    protocol: https
    balance: round-robin
    eject-after: 0
    eject-time: 1m
    eject-share: 100%
    panic: 25
    slow-start: 0s
    retry-budget: 10%
    concurrency: 50
    queue: "20"
    queue-timeout: 500ms
    rate: 10/s per address, 1000/6h
    canary-of: users
    canary-percent: 5
    canary-header: X-Canary=yes = no
    mirror-to: users-next
    mirror-percent: 100%
`
  t.deepEqual(Object.fromEntries(load(t, { yaml }).services), {
    auth: { enable: true, path: ['/api/users', '/api/user'], strip: '/api', auth: 'none' },
    carts: {
      enable: true,
      path: ['/carts'],
      strip: '',
      scope: ['carts:read', 'carts:write'],
      timeout: 1500,
      retries: 2,
      openapi: false,
      inject: 'google',
      port: 8080,
      protocol: 'https',
      balance: 'round-robin',
      'eject-after': 0,
      'eject-time': 60_000,
      'eject-share': 100,
      panic: 25,
      'slow-start': 0,
      'retry-budget': 10,
      concurrency: 50,
      queue: 20,
      'queue-timeout': 500,
      rate: [
        { requests: 10, seconds: 1, per: 'address' },
        { requests: 1000, seconds: 21_600, per: 'user' },
      ],
      'canary-of': 'users',
      'canary-percent': 5,
      'canary-header': { name: 'x-canary', value: 'yes = no' },
      'mirror-to': 'users-next',
      'mirror-percent': 100,
    },
  })
})

test('a service with urls is enabled without saying so, and hidden where it says so', (t) => {
  const yaml = `services:
  a: { urls: http://a:1 }
  b: { urls: http://b:1, enable: false }
  c: { path: /c }
  d:
`
  const { services } = load(t, { yaml })
  t.deepEqual(
    [...services].map(([name, { enable }]) => [name, enable]),
    [
      ['a', true],
      ['b', false],
      ['c', undefined],
      ['d', undefined],
    ],
  )
})

test('an empty file, and one without services, says nothing', (t) => {
  for (const yaml of ['', '# later\n', '---\n', 'services:\n', '{}', '\uFEFFservices: {}\r\n']) {
    t.is(load(t, { yaml }).services.size, 0, yaml)
  }
})

test('GATEWAY_CONFIG names another file, whose faults bear its name', (t) => {
  const cwd = configFolder(t, { yaml: 'this: is not read' })
  writeFileSync(join(cwd, 'other.yaml'), 'services: { a: { path: /a } }')
  const env = { GATEWAY_CONFIG: 'other.yaml' }
  t.deepEqual([...loadConfig({ env, cwd, sources: discoverySources }).services.keys()], ['a'])
  writeFileSync(join(cwd, 'other.yaml'), 'service: {}')
  t.throws(() => loadConfig({ env, cwd, sources: discoverySources }), {
    message: /^ {2}other\.yaml:1:1 service: /m,
  })
})

test('${NAME} is replaced from the environment and .env, in lists and inside text too', (t) => {
  const yaml = [
    'services:',
    '  auth:',
    '    urls: [${AUTH_URL}, "http://${HOST_B}:2"]',
    '    path: ${AUTH_PATH}',
    '    retries: ${RETRIES}',
    '    inject: &provider ${PROVIDER}',
    "  carts: { inject: *provider, path: '/${HOST_B}/x' }",
  ].join('\n')
  const { services, discovery } = load(t, {
    yaml,
    env: { AUTH_URL: 'http://a:1', HOST_B: 'b', AUTH_PATH: '/users', RETRIES: '2' },
    dotEnv: 'PROVIDER=naver\n',
  })
  t.deepEqual(services.get('auth'), { enable: true, path: ['/users'], retries: 2, inject: 'naver' })
  t.deepEqual(services.get('carts'), { path: ['/b/x'], inject: 'naver' })
  t.regex(JSON.stringify(discovery.sources[0]?.options), /http:\/\/a:1.*http:\/\/b:2/)
})

test('$${ is a literal ${', (t) => {
  const lines = faultLines(t, { yaml: "services:\n  a:\n    openapi: 'x$${PORT}'\n", env: { PORT: '1' } })
  t.deepEqual(lines, [
    'gateway.yaml:3:14 services.a.openapi: found "x$${PORT}", expected a path such as /openapi.json, or false for none',
  ])
  const { services } = load(t, { yaml: 'services: { a: { openapi: /x$${PORT} } }', env: { PORT: '1' } })
  t.is(services.get('a')?.openapi, '/x${PORT}')
})

test('a value from the environment cannot change the structure of the file', (t) => {
  const env = { EVIL: '/a\n  b:\n    auth: none' }
  const { faults } = loadError(t, { yaml: 'services:\n  a:\n    path: ${EVIL}\n', env })
  t.deepEqual(faults.map(spot), ['3 services.a.path'])
})

test('a fault of a replaced value shows what was written, not what it stands for', (t) => {
  const { message } = loadError(t, {
    yaml: 'services: { a: { path: ${SECRET} } }',
    env: { SECRET: 'hunter2' },
  })
  t.true(message.includes('found "${SECRET}"'))
  t.false(message.includes('hunter2'))
})

test('an unknown ${NAME} is a fault at its own line', (t) => {
  const yaml = 'services:\n  a:\n    path: [/a,\n      /${NOWHERE}]\n    strip: ${not a name}\n'
  t.deepEqual(faultLines(t, { yaml }), [
    'gateway.yaml:4:8 services.a.path[1]: found "${NOWHERE}", expected the environment variable NOWHERE to be set',
    'gateway.yaml:5:12 services.a.strip: found "${not a name}", expected the name of an environment variable, or $${ for a literal ${',
  ])
})

test('one path claimed by two services names both lines', (t) => {
  const yaml = 'services:\n  a:\n    path: /x\n  b:\n    path:\n      - /y\n      - /x\n'
  t.deepEqual(faultLines(t, { yaml }), [
    'gateway.yaml:7:9 services.b.path[1]: found /x, which a claims at line 3, expected each path to belong to one service',
  ])
})

test('the default path of a service with urls is claimed as well, that of a hidden one is not', (t) => {
  const claim = (rest: string) => `services:\n  a: { ${rest} }\n  b: { path: /api/a }\n`
  t.deepEqual(loadError(t, { yaml: claim('urls: http://a:1') }).faults.map(spot), ['3 services.b.path'])
  t.notThrows(() => load(t, { yaml: claim('urls: http://a:1, enable: false') }))
})

test('a repeated key names the first one’s line, and a repeated service too', (t) => {
  const yaml = 'services:\n  a:\n    path: /a\n    auth: none\n    path: /b\n  a: {}\n'
  t.deepEqual(faultLines(t, { yaml }), [
    'gateway.yaml:5:5 services.a.path: found the key again (first at line 3), expected each key once',
    'gateway.yaml:6:3 services.a: found the key again (first at line 2), expected each key once',
  ])
})

test('every fault of the file is reported at once, in the order of its lines', (t) => {
  const yaml =
    'servces: {}\nservices:\n  a:\n    retries: 99\n    path: [/a, b]\n    timeout: 15\n  b c: {}\n'
  t.deepEqual(loadError(t, { yaml }).faults.map(spot), [
    '1 servces',
    '4 services.a.retries',
    '5 services.a.path[1]',
    '6 services.a.timeout',
    '7 services.b c',
  ])
})

const notYaml: Record<string, string> = {
  'a tab as indentation': 'services:\n\ta: {}\n',
  'an open quote': 'services:\n  a: "x\n',
  'an open list': 'services: [\n',
  'two documents': 'services: {}\n---\nservices: {}\n',
  'an unknown tag': 'services: !secret x\n',
  'a mapping in a value': 'services: a: b\n',
}
for (const [what, yaml] of Object.entries(notYaml)) {
  test(`${what} is bad YAML, with its line and column`, (t) => {
    const { faults } = loadError(t, { yaml })
    for (const { place, expected } of faults) {
      t.is(expected, 'valid YAML')
      t.true('line' in place && place.line >= 1 && place.line <= 4 && place.column >= 1)
    }
  })
}

test('a file that is not UTF-8 is a fault', (t) => {
  t.deepEqual(faultLines(t, { yaml: Buffer.from([0x73, 0xff, 0xfe]) }), [
    'gateway.yaml:1:1: found a file that cannot be read (not UTF-8), expected a YAML file',
  ])
})

test('aliases that multiply without end are cut off', (t) => {
  const levels = Array.from({ length: 12 }, (_, n) => `k${n}: &a${n} [${`*a${n - 1}, `.repeat(9)}]`).slice(1)
  const { faults } = loadError(t, { yaml: ['k0: &a0 [x]', ...levels].join('\n') })
  t.true(faults.some(({ found }) => found === 'more levels or aliases than make sense'))
  t.notThrows(() => loadError(t, { yaml: 'services: &a { a: *a }' }))
})

const lines = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n)).join('\n')

test('a large file is read, however much is in it', (t) => {
  const yaml = `services:\n${lines(5000, (n) => `  s${n}: { path: /s${n}, auth: none, timeout: 5s, retries: 2 }`)}`
  t.is(load(t, { yaml }).services.size, 5000)
})

test('many services may share what one says', (t) => {
  const first = '  s0: &all { auth: none, timeout: 5s, retries: 2, scope: &scope [a, b, c] }'
  const yaml = `services:\n${first}\n${lines(4000, (n) => `  s${n + 1}: *all`)}\n  last: { scope: *scope }`
  const { services } = load(t, { yaml })
  t.is(services.size, 4002)
  t.deepEqual(services.get('s4000'), services.get('s0'))
  t.deepEqual(services.get('last'), { scope: ['a', 'b', 'c'] })
})

test('an alias stands for the last anchor of its name before it', (t) => {
  const yaml =
    'services:\n  a: { path: &p /a }\n  b: { strip: *p }\n  c: { path: &p /c }\n  d: { strip: *p }\n'
  const { services } = load(t, { yaml })
  t.is(services.get('b')?.strip, '/a')
  t.is(services.get('d')?.strip, '/c')
})

test('a merge key of YAML 1.1 is an unknown key like any other', (t) => {
  const yaml = '%YAML 1.1\n---\nservices:\n  z: &z { auth: none }\n  a: { <<: *z, path: /a }\n'
  t.deepEqual(loadError(t, { yaml }).faults.map(spot), ['5 services.a.<<'])
})

test('an alias of no anchor is a fault', (t) => {
  t.deepEqual(loadError(t, { yaml: 'services:\n  a: *nowhere\n' }).faults.map(spot), ['2 services.a'])
})

test('a weight stands behind its URL, and does not make two instances of one', (t) => {
  const yaml = (urls: string) => `services:\n  a:\n    urls: [${urls}]\n`
  t.notThrows(() => load(t, { yaml: yaml('http://a:1; weight=3, http://b:1') }))
  t.deepEqual(faultLines(t, { yaml: yaml('http://a:1; weight=3, http://a:1') }), [
    'gateway.yaml:3:34 services.a.urls[1]: found "http://a:1" twice, expected each instance once',
  ])
  t.deepEqual(faultLines(t, { yaml: yaml('http://a:1; weight=x') }), [
    'gateway.yaml:3:12 services.a.urls[0]: found "http://a:1; weight=x", expected a weight from 0 to 65535 and nothing else after the URL, as in http://localhost:8001; weight=3',
  ])
})

test('a canary may name the paths of the service that it stands in for', (t) => {
  const yaml =
    'services:\n  a: { urls: http://a:1, path: /a }\n  b: { urls: http://b:1, path: /a, canary-of: a }\n'
  t.notThrows(() => load(t, { yaml }))
})
