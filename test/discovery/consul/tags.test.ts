import test from 'ava'
import { mayOptIn, readTags } from '../../../src/discovery/consul/tags.ts'

const enable = 'gateway.enable=true'

test('every key of a description can be said in tags', (t) => {
  const tags = [
    enable,
    'gateway.path=/api/users',
    'gateway.path=/api/user',
    'gateway.strip=/api',
    'gateway.auth=optional',
    'gateway.scope=users:read users:write',
    'gateway.timeout=5s',
    'gateway.retries=0',
    'gateway.openapi=false',
    'gateway.inject=google',
    'gateway.port=8080',
    'gateway.protocol=https',
    'gateway.balance=round-robin',
    'gateway.eject-after=3',
    'gateway.eject-time=10s',
    'gateway.eject-share=20%',
    'gateway.panic=0',
    'gateway.slow-start=30s',
  ]
  t.deepEqual(readTags(tags), {
    enabled: true,
    description: {
      enable: true,
      path: ['/api/users', '/api/user'],
      strip: '/api',
      auth: 'optional',
      scope: ['users:read', 'users:write'],
      timeout: 5000,
      retries: 0,
      openapi: false,
      inject: 'google',
      port: 8080,
      protocol: 'https',
      balance: 'round-robin',
      'eject-after': 3,
      'eject-time': 10_000,
      'eject-share': 20,
      panic: 0,
      'slow-start': 30_000,
    },
    faults: [],
  })
})

test('a tag is split at its first equals sign', (t) => {
  t.deepEqual(readTags([enable, 'gateway.path=/a=b']).description?.path, ['/a=b'])
})

test("other programs' tags are none of ours", (t) => {
  t.deepEqual(readTags([enable, 'traefik.enable=true', 'gatewayx', 'primary']).faults, [])
})

test('the same tag twice is one; two values of one key are a fault', (t) => {
  t.deepEqual(readTags([enable, enable]).faults, [])
  const { description, faults } = readTags([enable, 'gateway.auth=required', 'gateway.auth=none'])
  t.is(description, undefined)
  t.deepEqual(faults, ['tag "gateway.auth=none": expected gateway.auth once'])
})

test('every fault is named with its tag and what was expected', (t) => {
  const { enabled, description, faults } = readTags(
    [
      enable,
      'gateway.auth',
      'gateway.path=/ok',
      'gateway.path=users',
      'gateway.timeot=5s',
      'gateway.port=http',
    ],
    { 'gateway-retries': 'many' },
  )
  t.true(enabled)
  t.is(description, undefined)
  const text = faults.join('\n')
  t.is(faults.length, 5)
  t.regex(text, /^tag "gateway\.auth": expected gateway\.auth=<value>$/m)
  t.regex(text, /^tag "gateway\.path=users": expected a path such as/m)
  t.regex(text, /^tag "gateway\.timeot=5s": expected one of .*did you mean `timeout`/m)
  t.regex(text, /^meta "gateway-retries=many": expected a whole number from 0 to 10$/m)
  t.regex(text, /^tag "gateway\.port=http": expected a port number/m)
})

test('Meta stands in for keys that no tag mentions', (t) => {
  const { description } = readTags([enable, 'gateway.auth=none'], {
    'gateway-auth': 'required',
    'Gateway-Strip': '/api',
    gateway: 'x',
  })
  t.deepEqual(description, { enable: true, auth: 'none', strip: '/api' })
})

test('the catalog is worth a closer look where enable is said, and is not a plain false', (t) => {
  t.true(mayOptIn([enable]))
  t.true(mayOptIn(['GATEWAY.ENABLE=TRUE']))
  t.true(mayOptIn(['gateway.enable=ture']))
  t.true(mayOptIn(['gateway.enable=false', enable]))
  t.false(mayOptIn(['gateway.enable=false']))
  t.false(mayOptIn(['gateway.path=/api/users']))
  t.false(mayOptIn([]))
})
