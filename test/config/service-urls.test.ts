import test from 'ava'
import { z } from 'zod'
import type { DiscoverySource, SourceInput } from '../../src/discovery/source.ts'
import { load, loadError, spot } from '../support/config.ts'

/** A source whose options are what it was given, to see what that was. */
const mirror: DiscoverySource<SourceInput> = {
  name: 'mirror',
  settings: z.custom<SourceInput>(),
  watch: async () => undefined,
}

function urlsOf(t: Parameters<typeof load>[0], given: Parameters<typeof load>[1]) {
  const env = { DISCOVERY: 'mirror', ...given?.env }
  const config = load(t, { ...given, env, sources: { mirror } })
  return Object.fromEntries((config.discovery.sources[0]!.options as SourceInput).urls)
}

test('the name of the variable is the name of the service', (t) => {
  const env = { AUTH_SERVICE_URL: 'http://a:1', USER_PROFILE_SERVICE_URL: 'https://b', V2_SERVICE_URL: 'c:3' }
  t.deepEqual(urlsOf(t, { env }), { auth: ['http://a:1'], 'user-profile': ['https://b'], v2: ['http://c:3'] })
})

test('a service that gateway.yaml spells another way is the same service', (t) => {
  const env = { USER_PROFILE_SERVICE_URL: 'http://a:1' }
  const yaml = 'services: { user_profile: { auth: none } }'
  t.deepEqual(urlsOf(t, { env, yaml }), { user_profile: ['http://a:1'] })
})

test('URLs are normalised, in the order written', (t) => {
  const AUTH_SERVICE_URL =
    'HTTP://Localhost:80/, localhost:8001,[::1]:8002,https://x:443,srv+http://_http._tcp.Auth.service.consul'
  t.deepEqual(urlsOf(t, { env: { AUTH_SERVICE_URL } }).auth, [
    'http://localhost',
    'http://localhost:8001',
    'http://[::1]:8002',
    'https://x',
    'srv+http://_http._tcp.auth.service.consul',
  ])
})

test('a URL may be followed by its weight, which has one spelling', (t) => {
  const AUTH_SERVICE_URL = 'a:1;weight=3, http://b:2 ; weight = 0,http://c:3; weight=1'
  t.deepEqual(urlsOf(t, { env: { AUTH_SERVICE_URL } }).auth, [
    'http://a:1; weight=3',
    'http://b:2; weight=0',
    'http://c:3',
  ])
})

for (const bad of [
  'auth',
  'ftp://auth',
  'http://',
  'http://auth:0',
  'http://auth:65536',
  'http://auth/path',
  'http://auth?',
  'http://auth#x',
  'http://me@auth',
  'http://a b',
  'http://a,,http://b',
  'http://a,http://a:80',
  'http://a; weight=2,http://a',
  'http://a; weight=two',
  'http://a; weight=65536',
  'http://a; weight=-1',
  'http://a; weigth=2',
  'http://a; weight=1; weight=2',
  'http://a;',
  'http://999.1.1.1',
  'srv+http://name:80',
  'srv+http://name/x',
  '//auth:80',
  '{AUTH}',
]) {
  test(`${bad} is no place for a service`, (t) => {
    t.deepEqual(loadError(t, { env: { AUTH_SERVICE_URL: bad } }).faults.map(spot), ['AUTH_SERVICE_URL'])
  })
}

test('a variable whose name stands for no service is a fault', (t) => {
  const env = { auth_SERVICE_URL: 'http://a', A__B_SERVICE_URL: 'http://a', _SERVICE_URL: 'http://a' }
  t.deepEqual(loadError(t, { env }).faults.map(spot), Object.keys(env))
})

test('the environment wins over the file’s urls', (t) => {
  const yaml = 'services: { auth: { urls: [http://file:1] }, carts: { urls: http://file:2 } }'
  const env = { AUTH_SERVICE_URL: 'http://env:1' }
  t.deepEqual(urlsOf(t, { env, yaml }), { auth: ['http://env:1'], carts: ['http://file:2'] })
})
