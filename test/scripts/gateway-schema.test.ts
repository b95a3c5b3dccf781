// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders of gateway.yaml look like that
import { readFileSync } from 'node:fs'
import test from 'ava'
import { parse } from 'yaml'
import { z } from 'zod'
import { findStaleGatewaySchema, gatewaySchema } from '../../scripts/gateway-schema.ts'
import { descriptionSchema } from '../../src/discovery/description.ts'
import { load, loadError } from '../support/config.ts'

/** The schema as a validator reads it; zod's own is the only one at hand. */
const schema = z.fromJSONSchema(JSON.parse(JSON.stringify(gatewaySchema())))
const accepts = (yaml: string) => schema.safeParse(parse(yaml)).success

test('gateway.schema.json is as the loader’s schemas have it', async (t) => {
  t.is(await findStaleGatewaySchema(), undefined)
})

test('it knows every key that the loader knows, and says what each means', (t) => {
  const file = JSON.parse(readFileSync('gateway.schema.json', 'utf8'))
  const { properties } = file.definitions.service
  t.deepEqual(Object.keys(properties), ['urls', ...Object.keys(descriptionSchema.shape)])
  for (const [key, { description }] of Object.entries<{ description?: string }>(properties)) {
    t.regex(description ?? '', /\w{3}/, key)
  }
})

test('the gateway.yaml of the repository asks editors to use it, and is what it says', (t) => {
  const yaml = readFileSync('gateway.yaml', 'utf8')
  t.true(yaml.startsWith('# yaml-language-server: $schema=./gateway.schema.json\n'))
  t.true(accepts(yaml))
})

const service = (rest: string) => `services:\n  a: { ${rest} }\n`
const environment = { X: '/x', NUMBER: '2', FLAG: 'true', MODE: 'none', URL: 'http://a:1', TIME: '2s' }

const good = [
  'services:\n',
  '{}',
  'services: {}',
  'services: { a: , b-1.c_d: {} }',
  service('urls: http://a:1'),
  service('urls: "http://a:1, a:2"'),
  service('urls: [HTTPS://a, "[::1]:9000", "http://[::1]:1", a:1]'),
  service('urls: [" http://a:1/"]'),
  service('urls: ["${URL}", "http://${MODE}:1"]'),
  service('urls: "${URL}"'),
  service('path: /x'),
  service('path: /'),
  service('path: [/x, "/x/y; auth=required; scope=a b", "/z;scope = a"]'),
  service('path: "${X}/y"'),
  service('path: [ "${X}" ]'),
  service('strip: ""'),
  service('strip: "${X}"'),
  service('auth: optional, enable: true'),
  service('auth: "${MODE}", enable: "${FLAG}"'),
  service('enable: Yes'),
  service('enable: "oFF"'),
  service('scope: [a, b:c]'),
  service('scope: "a b, c"'),
  service('scope: ["${MODE}"]'),
  service('timeout: 1.5s'),
  service('timeout: "${TIME}"'),
  service('retries: 10'),
  service('retries: "2"'),
  service('retries: "${NUMBER}"'),
  service('openapi: false'),
  service('openapi: "false"'),
  service('openapi: "${X}"'),
  service('inject: my-oidc, port: http, protocol: https, balance: round-robin'),
  service('eject-after: 0, eject-time: 10s, eject-share: 20%, panic: 50, slow-start: 30s'),
  service('retry-budget: 20%, concurrency: 50, queue: "0", queue-timeout: 1s'),
  service('rate: 100/min'),
  service('rate: "10/s per address, 1000/6h per user"'),
  service('rate: [10/s per address, "${NUMBER}/h per user"]'),
  service('canary-of: users, canary-percent: 5, canary-header: "X-Canary=1"'),
  service('mirror-to: users-next, mirror-percent: "10%"'),
  service('panic: "${NUMBER}", eject-share: "100%"'),
  service('urls: ["http://a:1; weight=3"]'),
  service('port: 8080'),
  service('port: "8080"'),
]

for (const yaml of good) {
  test(`what the loader accepts, the schema accepts: ${JSON.stringify(yaml)}`, (t) => {
    t.notThrows(() => load(t, { yaml, env: { DISCOVERY: 'dns', ...environment } }))
    t.true(accepts(yaml))
  })
}

const bad = [
  'service: {}',
  'services: []',
  'services: { a: x }',
  'services: { "a b": {} }',
  service('url: http://a:1'),
  service('urls: []'),
  service('urls: 8001'),
  service('urls: htp://a:1'),
  service('urls: [http://me:pw@a:1]'),
  service('path: []'),
  service('path: users'),
  service('path: [/x, y]'),
  service('path: "/x; auth=non"'),
  service('path: "/x; role=admin"'),
  service('path: "/x?y"'),
  service('strip: /api/'),
  service('auth: non'),
  service('enable: ture'),
  service('enable: 2'),
  service('scope: []'),
  service('scope: ""'),
  service('scope: [5]'),
  service('timeout: 15'),
  service('timeout: 5sec'),
  service('retries: 11'),
  service('retries: 1.5'),
  service('retries: one'),
  service('openapi: true'),
  service('openapi: //other.example/x'),
  service('inject: Google'),
  service('port: 80800'),
  service('port: "a b"'),
  service('protocol: htttp'),
  service('balance: random'),
  service('retry-budget: 101'),
  service('concurrency: 0'),
  service('queue: -1'),
  service('queue-timeout: 1'),
  service('rate: 100'),
  service('rate: 0/s'),
  service('rate: 5/500ms'),
  service('rate: 5/s per client'),
  service('rate: []'),
  service('canary-of: "a b"'),
  service('canary-percent: 5.5'),
  service('canary-header: X-Canary'),
  service('canary-header: "X Canary=1"'),
  service('mirror-to: ""'),
  service('eject-after: -1'),
  service('eject-time: 30'),
  service('eject-share: 101'),
  service('eject-share: 0.5'),
  service('panic: half'),
  service('panic: 101%'),
  service('slow-start: soon'),
  service('path:'),
]

for (const yaml of bad) {
  test(`an editor points at what the loader refuses: ${JSON.stringify(yaml)}`, (t) => {
    loadError(t, { yaml, env: environment })
    t.false(accepts(yaml))
  })
}
