import test from 'ava'
import { load, loadError, spot } from '../support/config.ts'

const good = `# routes
services:
  auth:
    urls: [http://localhost:8001]
    path: [/api/users, /api/user]
    strip: /api
    auth: none
    timeout: 5s
    retries: 1
    openapi: /openapi.json
    enable: true
  carts:
    path: /carts
    scope: [carts:read]
    port: 8080
    protocol: http
    balance: p2c
`

test('the file that the typos are made in is itself without fault', (t) => {
  t.notThrows(() => load(t, { yaml: good }))
})

/** What is written, what it becomes, and where the fault must be found, with a word that must be in it. */
const typos: readonly [from: string, to: string, place: string, says: string][] = [
  ['services:', 'service:', '2 service', '`services`'],
  ['urls:', 'url:', '4 services.auth.url', '`urls`'],
  ['path: [', 'paths: [', '5 services.auth.paths', '`path`'],
  ['strip:', 'strp:', '6 services.auth.strp', '`strip`'],
  ['auth: none', 'atuh: none', '7 services.auth.atuh', '`auth`'],
  ['timeout:', 'Timeout:', '8 services.auth.Timeout', '`timeout`'],
  ['retries:', 'retry:', '9 services.auth.retry', 'retries'],
  ['openapi:', 'openApi:', '10 services.auth.openApi', '`openapi`'],
  ['enable:', 'enabled:', '11 services.auth.enabled', '`enable`'],
  ['protocol:', 'protocl:', '16 services.carts.protocl', '`protocol`'],
  ['balance:', 'ballance:', '17 services.carts.ballance', '`balance`'],
  ['http://localhost:8001', 'htp://localhost:8001', '4 services.auth.urls[0]', 'http://host:port'],
  ['/api/user]', 'api/user]', '5 services.auth.path[1]', 'such as /api/users'],
  ['strip: /api', 'strip: /api/', '6 services.auth.strip', 'without a trailing slash'],
  ['auth: none', 'auth: non', '7 services.auth.auth', 'none, optional or required'],
  ['5s', '5sec', '8 services.auth.timeout', '15s'],
  ['retries: 1', 'retries: one', '9 services.auth.retries', 'from 0 to 10'],
  ['openapi: /openapi.json', 'openapi: yes', '10 services.auth.openapi', 'or false for none'],
  ['enable: true', 'enable: ture', '11 services.auth.enable', 'true or false'],
  ['[carts:read]', '[carts:read, 5]', '14 services.carts.scope[1]', 'users:read'],
  ['port: 8080', 'port: 80800', '15 services.carts.port', '65535'],
  ['protocol: http', 'protocol: htttp', '16 services.carts.protocol', 'http or https'],
  ['balance: p2c', 'balance: random', '17 services.carts.balance', 'round-robin'],
]

for (const [from, to, place, says] of typos) {
  test(`"${to}" for "${from}" is reported at its line and key`, (t) => {
    const { faults } = loadError(t, { yaml: good.replace(from, to) })
    t.deepEqual(faults.map(spot), [place])
    t.true(`${faults[0]?.found} ${faults[0]?.expected}`.includes(says), faults[0]?.expected)
  })
}
