import test, { type ExecutionContext } from 'ava'
import { freshEmbedded } from '../support/database.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { asClient, startOAuthGateway } from '../support/oauth-gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, request } from '../support/request.ts'

const house = 'http://127.0.0.1:9'
const adminToken = 'an-admin-token-of-24-chars'

type Headers = Readonly<Record<string, string>>

async function asked(t: ExecutionContext, headers: Headers, env: Headers = {}) {
  const { url } = await startGatewayFor(t, house, {}, env)
  return request(`${url}/admin/routes`, { headers })
}

test('a program of this machine is answered without a token', async (t) => {
  const reply = await asked(t, {})
  t.is(reply.status, 200)
  t.is(reply.headers['content-type'], 'application/json; charset=utf-8')
  t.is(reply.headers['cache-control'], 'no-store')
})

for (const host of ['localhost', 'LOCALHOST:8080', '127.0.0.1:1', '127.9.9.9', '[::1]:8080']) {
  test(`the Host ${host} is this machine’s`, async (t) => {
    t.is((await asked(t, { host })).status, 200)
  })
}

const strangers: Record<string, Headers> = {
  'under a name that a page has had resolve to this machine (DNS rebinding)': { host: 'evil.example:8080' },
  'under a name that only begins like this machine’s': { host: 'localhost.evil.example' },
  'under an address that is every address': { host: '0.0.0.0:8080' },
  'under a name that nobody has': { host: 'local!host:8080' },
  'through a proxy': { 'x-forwarded-for': '127.0.0.1' },
  'through a proxy that spells it otherwise': { X_Forwarded_For: '127.0.0.1' },
  'through a proxy that only names itself': { via: '1.1 proxy' },
  'through a proxy that speaks RFC 7239': { forwarded: 'for=127.0.0.1' },
  'through a proxy that hides the public name': { 'x-forwarded-host': 'localhost' },
  'through nginx': { 'x-real-ip': '127.0.0.1' },
  'by a page of another origin': { origin: 'https://evil.example' },
  'by a page of another port of this machine': { host: 'localhost:1', origin: 'http://localhost:3000' },
  'by a page without an origin': { origin: 'null' },
  'by an image of a page elsewhere': { 'sec-fetch-site': 'cross-site' },
}
for (const [how, headers] of Object.entries(strangers)) {
  test(`asked ${how}, it wants a token`, async (t) => {
    const reply = await asked(t, headers)
    t.is(reply.status, 401)
    t.is(codeOf(reply), 'authentication_required')
    t.is(reply.headers['www-authenticate'], 'Bearer scope="admin"')
    t.false(reply.body.includes(house))
  })

  test(`asked ${how} with ADMIN_TOKEN, it answers`, async (t) => {
    const authorization = `Bearer ${adminToken}`
    t.is((await asked(t, { ...headers, authorization }, { ADMIN_TOKEN: adminToken })).status, 200)
  })
}

test('a trusted proxy of this machine’s is a proxy all the same', async (t) => {
  const env = { TRUSTED_PROXIES: '127.0.0.1' }
  for (const client of ['127.0.0.1', '203.0.113.7']) {
    t.is((await asked(t, { 'x-forwarded-for': client }, env)).status, 401, client)
  }
})

test('the host of an absolute target stands above the Host header', async (t) => {
  const { port } = await startGatewayFor(t, house)
  const client = await rawClient(t, port)
  client.send('GET http://evil.example/admin/routes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  t.regex((await client.ended()).text, /^HTTP\/1\.1 401 /)
})

for (const authorization of [
  'Bearer another-admin-token-of-24',
  `Bearer ${adminToken}x`,
  `Bearer ${adminToken.slice(0, -1)}`,
  'Bearer',
  `Basic ${Buffer.from(`admin:${adminToken}`).toString('base64')}`,
]) {
  test(`a stranger with ${authorization.slice(0, 40)} is refused`, async (t) => {
    const headers = { host: 'gateway.example', authorization }
    const reply = await asked(t, headers, { ADMIN_TOKEN: adminToken })
    t.is(reply.status, 401)
    t.false(reply.body.includes(adminToken))
  })
}

test('two Authorization headers are refused, the right one among them or not', async (t) => {
  const { port } = await startGatewayFor(t, house, {}, { ADMIN_TOKEN: adminToken })
  const client = await rawClient(t, port)
  const credentials = `Authorization: Bearer ${adminToken}\r\n`
  client.send(
    `GET /admin/routes HTTP/1.1\r\nHost: evil.example\r\n${credentials}${credentials}Connection: close\r\n\r\n`,
  )
  t.regex((await client.ended()).text, /^HTTP\/1\.1 401 /)
})

test('an access token of the gateway’s own passes with the scope admin, and with no other', async (t) => {
  const gateway = await startOAuthGateway(t, await freshEmbedded(t), {})
  const withToken = async (scope: string, more: Headers = {}) => {
    const authorization = `Bearer ${await gateway.tokenOf('user', { scope })}`
    return request(`${gateway.url}/admin/routes`, { headers: { host: 'e.example', authorization, ...more } })
  }
  t.is((await withToken('admin')).status, 200)
  t.is((await withToken('profile admin')).status, 200)
  for (const scope of ['profile', 'administrator', 'Admin']) {
    const reply = await withToken(scope)
    t.is(reply.status, 403, scope)
    t.is(codeOf(reply), 'insufficient_scope')
  }
  const dummy = await gateway.send('POST', '/tokens/dummy', {
    headers: asClient,
    body: { access_token: 'typed-by-somebody', scope: 'admin' },
  })
  t.is(dummy.status, 200)
  const headers = { host: 'e.example', authorization: 'Bearer typed-by-somebody' }
  t.is((await request(`${gateway.url}/admin/routes`, { headers })).status, 403)
})

test('the scope admin of another issuer’s token is that issuer’s business', async (t) => {
  const issuer = await startIssuer(t)
  const { url } = await startGatewayFor(t, house, { auth: 'required' }, { TRUSTED_ISSUERS: issuer.setting })
  const headers = { host: 'e.example', authorization: `Bearer ${await issuer.token({ scope: 'admin' })}` }
  t.is((await request(`${url}/api/house`, { headers })).status, 502)
  const reply = await request(`${url}/admin/routes`, { headers })
  t.is(reply.status, 403)
  t.is(codeOf(reply), 'insufficient_scope')
})

test('a stranger does not learn what there is and what is not', async (t) => {
  const { url } = await startGatewayFor(t, house)
  for (const path of [
    '/admin',
    '/admin/',
    '/admin/routes',
    '/admin/nothing',
    '/admin/explain?method=GET&url=/',
  ]) {
    t.is((await request(url + path, { headers: { host: 'evil.example' } })).status, 401, path)
  }
})

test('who may ask is told what is not there, and that it is only read', async (t) => {
  const { url } = await startGatewayFor(t, house)
  for (const path of ['/admin', '/admin/nothing', '/admin/routes/x', '/admin/constructor']) {
    t.is((await request(url + path)).status, 404, path)
  }
  const posted = await request(`${url}/admin/routes`, { method: 'POST' })
  t.is(posted.status, 405)
  t.is(posted.headers.allow, 'GET, HEAD')
  t.is((await request(`${url}/admin/routes`, { method: 'HEAD' })).status, 200)
})

test('a front end of CORS_ORIGINS is a stranger’s page', async (t) => {
  const origin = 'https://app.example.com'
  const reply = await asked(t, { origin }, { CORS_ORIGINS: origin })
  t.is(reply.status, 401)
})

test('with ROUTE_PREFIX they are under it, and /admin is free for a service', async (t) => {
  const { url } = await startGateway(t, {
    file: { services: { own: { urls: [house], path: '/admin', auth: 'none', openapi: false } } },
    env: { ROUTE_PREFIX: '/e' },
  })
  t.is((await request(`${url}/e/admin/routes`)).status, 200)
  t.is((await request(`${url}/admin/routes`)).status, 502)
})

test('whoever guesses is refused from then on, right or wrong, and nobody at another address with him', async (t) => {
  const env = { ADMIN_TOKEN: adminToken, TOKEN_FAILURE_LIMIT: '3/1m', TRUSTED_PROXIES: '127.0.0.1' }
  const { url } = await startGatewayFor(t, house, {}, env)
  const ask = (path: string, address: string, token?: string) =>
    request(url + path, {
      headers: { 'x-forwarded-for': address, ...(token && { authorization: `Bearer ${token}` }) },
    })
  const paths = ['/admin/routes', '/metrics', '/dashboard/events']
  for (const path of paths) t.is((await ask(path, '203.0.113.7', `wrong-at${path}`)).status, 401, path)
  for (const path of paths) {
    const reply = await ask(path, '203.0.113.7', adminToken)
    t.is(reply.status, 429, path)
    t.true(Number(reply.headers['retry-after']) > 0)
    t.is((await ask(path, '203.0.113.7')).status, 401, 'no guess')
  }
  t.is((await ask('/metrics', '203.0.113.8', adminToken)).status, 200)
})

test('a program of this machine’s is answered whatever was guessed from there', async (t) => {
  const env = { ADMIN_TOKEN: adminToken, TOKEN_FAILURE_LIMIT: '2/1m' }
  const { url } = await startGatewayFor(t, house, {}, env)
  const wrong = { via: '1.1 proxy', authorization: 'Bearer wrong' }
  for (const status of [401, 401, 429]) {
    t.is((await request(`${url}/admin/routes`, { headers: wrong })).status, status)
  }
  for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
    t.is((await request(`${url}/admin/routes`, { headers })).status, 200)
  }
})
