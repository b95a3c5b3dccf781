import test from 'ava'
import { z } from 'zod'
import type { DiscoverySource, SourceInput } from '../../src/discovery/source.ts'
import { faultLines, load, loadError, spot } from '../support/config.ts'

/** Stands in for a source with settings of its own. */
const consul: DiscoverySource<{ address: string }> = {
  name: 'consul',
  settings: z
    .object({
      environment: z.object({
        CONSUL_HTTP_ADDR: z.url('expected a URL').default('http://localhost:8500'),
        CONSUL_HTTP_TOKEN: z.uuid('expected a UUID').optional(),
      }),
      urls: z.custom<SourceInput['urls']>(),
    })
    .transform(({ environment }) => ({ address: environment.CONSUL_HTTP_ADDR })),
  watch: async () => undefined,
}

/** A source that no URL is good enough for. */
const needy: DiscoverySource<readonly string[]> = {
  name: 'needy',
  settings: z.custom<SourceInput>().transform(({ urls }, context) => {
    for (const name of urls.keys()) {
      context.addIssue({ code: 'custom', path: ['urls', name], message: 'expected another URL' })
    }
    if (urls.size === 0) context.addIssue({ code: 'custom', message: 'expected some URL' })
    return []
  }),
  watch: async () => undefined,
}
const sources = { consul, needy }
const production = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://www.jinmini.com',
  DISCOVERY: 'consul',
}
const address = (family: 'IPv4' | 'IPv6', address: string, internal = false) => ({
  ...(family === 'IPv4' ? { family } : { family, scopeid: 0 }),
  address,
  internal,
  netmask: '',
  mac: '',
  cidr: null,
})

test('sources keep the order of DISCOVERY and read their own settings', (t) => {
  const env = { DISCOVERY: 'consul, static', CONSUL_HTTP_ADDR: 'http://consul:8500' }
  const config = load(t, { env, sources: { static: { ...consul, name: 'static' }, consul } })
  t.deepEqual(
    config.discovery.sources.map(({ source, options }) => [source.name, options]),
    [
      ['consul', { address: 'http://consul:8500' }],
      ['static', { address: 'http://consul:8500' }],
    ],
  )
})

test('an unknown name in DISCOVERY is answered with the valid ones', (t) => {
  t.deepEqual(faultLines(t, { env: { DISCOVERY: 'consil' }, sources }), [
    'DISCOVERY: found "consil" (did you mean `consul`?), expected names among consul, needy',
  ])
})

test('what a source finds wrong names its variable, and hides a secret', (t) => {
  const env = { DISCOVERY: 'consul', CONSUL_HTTP_ADDR: 'nowhere', CONSUL_HTTP_TOKEN: 'hunter2' }
  t.deepEqual(faultLines(t, { env, sources }), [
    'CONSUL_HTTP_ADDR: found "nowhere", expected a URL',
    'CONSUL_HTTP_TOKEN: found a value (not shown), expected a UUID',
  ])
})

test('what a source finds wrong with URLs names the variable or the line they come from', (t) => {
  const yaml = 'services:\n  carts:\n    urls: http://carts:1\n  auth:\n    urls: http://auth:1\n'
  const env = { DISCOVERY: 'needy', AUTH_SERVICE_URL: 'http://auth:2' }
  t.deepEqual(loadError(t, { env, yaml, sources }).faults.map(spot).sort(), [
    '3 services.carts.urls',
    'AUTH_SERVICE_URL',
  ])
})

test('what a source finds wrong as a whole names DISCOVERY', (t) => {
  t.deepEqual(loadError(t, { env: { DISCOVERY: 'needy' }, sources }).faults.map(spot), ['DISCOVERY'])
})

test('settings of sources that are not in DISCOVERY are not looked at', (t) => {
  t.notThrows(() => load(t, { env: { CONSUL_HTTP_ADDR: 'nowhere' } }))
})

test('with consul in DISCOVERY the gateway registers itself', (t) => {
  const env = { DISCOVERY: 'consul', CONSUL_HTTP_ADDR: 'http://consul:8500' }
  t.deepEqual(load(t, { env, sources }).registration, {
    serviceName: 'gateway',
    advertiseHost: '127.0.0.1',
    consul: { address: 'http://consul:8500' },
  })
})

test('REGISTER=false turns registration off', (t) => {
  t.is(load(t, { env: { DISCOVERY: 'consul', REGISTER: 'false' }, sources }).registration, undefined)
})

test('REGISTER=true without consul in DISCOVERY is a fault', (t) => {
  t.deepEqual(faultLines(t, { env: { REGISTER: 'true' } }), [
    'REGISTER: found true, expected consul in DISCOVERY, or false',
  ])
})

test('the name and address it registers with can be said', (t) => {
  const env = { ...production, GATEWAY_SERVICE_NAME: 'door', ADVERTISE_HOST: 'gateway.local' }
  const { registration } = load(t, { env, sources })
  t.is(registration?.serviceName, 'door')
  t.is(registration?.advertiseHost, 'gateway.local')
})

test('in production the machine’s own outward address is advertised, IPv4 first', (t) => {
  const networkInterfaces = () => ({
    lo: [address('IPv4', '127.0.0.1', true)],
    eth0: [address('IPv6', 'fe80::1'), address('IPv6', '2001:db8::1'), address('IPv4', '192.0.2.7')],
  })
  t.is(load(t, { env: production, sources, networkInterfaces }).registration?.advertiseHost, '192.0.2.7')
})

test('without an outward address ADVERTISE_HOST has to be said', (t) => {
  const networkInterfaces = () => ({ lo: [address('IPv4', '127.0.0.1', true)] })
  const { faults } = loadError(t, { env: production, sources, networkInterfaces })
  t.deepEqual(faults.map(spot), ['ADVERTISE_HOST'])
})
