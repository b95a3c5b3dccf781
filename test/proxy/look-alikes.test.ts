import test, { type ExecutionContext } from 'ava'
import type { Route } from '../../src/discovery/table.ts'
import { createGuardedLookup } from '../../src/proxy/look-alikes.ts'
import { startGateway } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { codeOf, request } from '../support/request.ts'
import { DeclinedError, openWebSocket, webSocketHouse } from '../support/websocket.ts'

type Guarded = Pick<Route, 'prefix' | 'auth' | 'scopes'>

const route = (prefix: string, auth: Route['auth'], ...scopes: string[]): Guarded => ({
  prefix,
  auth,
  scopes,
})

/** What is asked on a path: `required books:read`; undefined where no route leads. */
function asked(routes: readonly Guarded[], path: string): string | undefined {
  const found = createGuardedLookup(routes)(path)
  return found && [found.auth, ...found.scopes].join(' ')
}

const routes = [route('/api/open', 'none'), route('/api/open/me', 'required', 'profile')]

/** How houses may be asked for `me` without its being written so. */
const lookAlikes = [
  ...['ME', 'Me', 'me;x', 'me;', 'me;x=1;y', 'me%3Bx', 'me%3B', 'me%20', '%20me', 'me.json', 'me.', 'me*'],
  ...['me%3F', 'me%23x', 'me,x', 'me:x', 'me@x', '%4DE', 'm%2565', 'M%252545', 'me%C2%A0', 'me%FF', 'me%25'],
  ...['%EF%BD%8D%EF%BD%85', 'ME/', 'ME/x', 'me.json/x/y', 'me;x/y'],
]
for (const path of lookAlikes) {
  test(`under an open prefix, ${path} is asked for what me is asked for`, (t) => {
    t.is(asked(routes, `/api/open/${path}`), 'required profile')
  })
}

for (const path of [
  '',
  '/',
  '/men',
  '/me-2',
  '/me_2',
  '/m',
  '/other',
  '/other/me',
  '/other/ME',
  '/@me',
  '/%6Den',
]) {
  test(`/api/open${path} is open`, (t) => {
    t.is(asked(routes, `/api/open${path}`), 'none')
  })
}

test('a path that is in the table is judged by its own words alone', (t) => {
  const more = [...routes, route('/api/open/me.json', 'none'), route('/api/open/me/photo', 'none')]
  t.is(asked(more, '/api/open/me'), 'required profile')
  t.is(asked(more, '/api/open/me.json'), 'none')
  t.is(asked(more, '/api/open/me/photo/1'), 'none')
  t.is(asked(more, '/api/open/ME/photo'), 'required profile', 'and one that is not, by all that it resembles')
})

test('the look-alike of a prefix in any of its segments, and under any shorter one, counts', (t) => {
  const deep = [route('/', 'none'), route('/api', 'optional'), route('/api/v1/admin', 'required')]
  t.is(asked(deep, '/API/v1/admin'), 'required')
  t.is(asked(deep, '/api/V1/Admin.html/x'), 'required')
  t.is(asked(deep, '/API/v1/x'), 'optional')
  t.is(asked(deep, '/x'), 'none')
})

test('prefixes with upper case and other characters are found in other spellings too', (t) => {
  const odd = [route('/api', 'none'), route('/api/v1.0', 'required'), route('/api/@Me', 'required')]
  for (const path of ['/api/V1.0', '/api/v1.0;x', '/api/@me', '/api/@ME.json'])
    t.is(asked(odd, path), 'required')
  for (const path of ['/api/v2.0', '/api/@you', '/api/me']) t.is(asked(odd, path), 'none', path)
})

test('a look-alike is asked for the scopes of both, since it may be either', (t) => {
  const scoped = [
    route('/api/files', 'required', 'admin'),
    route('/api/files/shared', 'required', 'read'),
    route('/api/files/log', 'optional', 'audit'),
  ]
  t.is(asked(scoped, '/api/files/shared'), 'required read')
  t.is(asked(scoped, '/api/files/SHARED'), 'required admin read')
  t.is(asked(scoped, '/api/files/LOG'), 'required admin audit')
})

test('a longer prefix that asks for less makes nothing laxer, nor does its look-alike', (t) => {
  const laxer = [route('/api', 'required', 'profile'), route('/api/open', 'none')]
  t.is(asked(laxer, '/api/open'), 'none')
  t.is(asked(laxer, '/api/OPEN'), 'required profile')
})

test('scopes of an open prefix are asked of nobody, not with those of a longer one either', (t) => {
  const open = [route('/api', 'none', 'unused'), route('/api/me', 'required')]
  t.is(asked(open, '/api/ME'), 'required')
})

async function house(t: ExecutionContext) {
  const trusted = await startIssuer(t)
  const upstream = await webSocketHouse(t)
  const path = ['/api/open; auth=none', '/api/open/me; auth=required']
  const gateway = await startGateway(t, {
    file: { services: { house: { urls: [upstream.origin], openapi: false, path } } },
    env: { TRUSTED_ISSUERS: trusted.setting },
  })
  return { ...gateway, trusted, upstream }
}

test('nobody in particular gets through the door to a look-alike; a caller does, to where it led', async (t) => {
  const { url, trusted, access } = await house(t)
  for (const name of ['ME', 'me;x', 'me;', 'me%3Bx', 'me%20', 'me.json', 'me*', 'me%3F']) {
    const reply = await request(`${url}/api/open/${name}`)
    t.is(codeOf(reply), 'authentication_required', name)
  }
  const headers = { authorization: `Bearer ${await trusted.token()}` }
  t.is((await request(`${url}/api/open/ME`, { headers })).status, 404, 'the house has spoken')
  t.is((await request(`${url}/api/open/men`)).status, 404)
  t.deepEqual(
    access.slice(-2).map(({ path, service }) => [path, service]),
    [
      ['/api/open/ME', 'house'],
      ['/api/open/men', 'house'],
    ],
  )
})

test('nobody in particular opens a WebSocket to a look-alike', async (t) => {
  const { url, trusted, upstream } = await house(t)
  for (const name of ['ME', 'me;x', 'me.json']) {
    const error = await t.throwsAsync(openWebSocket(t, `${url}/api/open/${name}`), {
      instanceOf: DeclinedError,
    })
    t.is(error?.response.statusCode, 401, name)
  }
  t.is(upstream.opened.length, 0)
  const headers = { authorization: `Bearer ${await trusted.token()}` }
  await openWebSocket(t, `${url}/api/open/ME`, { headers })
  t.is(upstream.opened[0]?.handshake.headers['x-user-id'], 'user-1')
})
