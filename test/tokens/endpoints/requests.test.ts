import test from 'ava'
import { GatewayError } from '../../../src/errors.ts'
import { freshEmbedded } from '../../support/database.ts'
import { request } from '../../support/request.ts'
import {
  asAuth,
  asNobody,
  basic,
  clients,
  nextSecret,
  shared,
  someone,
  startTokenParts,
  startTokenServer,
} from '../../support/token-server.ts'

const parts = shared(async (t) => startTokenParts(t, await freshEmbedded(t)))
const server = shared(async (t) => startTokenServer(t, await parts()))
const [auth] = clients

test('a client shows itself by Basic, form-encoded or as it is, or in the body', async (t) => {
  const { post, form } = await server()
  const subject = someone()
  const encoded = new URLSearchParams({ '': auth.secret }).toString().slice(1)
  t.not(encoded, auth.secret)
  const credentials = { client_id: auth.id, client_secret: auth.secret }
  const replies = [
    await post('/tokens/create', { subject }, basic(auth.id, auth.secret)),
    await post('/tokens/create', { subject }, basic(auth.id, encoded)),
    await post('/tokens/create', { subject, ...credentials }, asNobody),
    await form('/tokens/create', String(new URLSearchParams({ subject, ...credentials })), asNobody),
    await post('/tokens/create', { subject, client_id: auth.id }, asAuth),
  ]
  t.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  )
})

test('a client with two secrets shows either, and with both the same sessions are its own', async (t) => {
  const { post } = await server()
  const asNext = basic(auth.id, nextSecret)
  const { status, json } = await post('/tokens/create', { subject: someone() }, asAuth)
  t.is(status, 200)
  t.is((await post('/tokens/refresh', { refresh_token: json.refresh_token }, asNext)).status, 200)
  t.is((await post('/tokens/create', { subject: someone() }, basic('shop', nextSecret))).status, 401)
})

test('whatever is wrong with credentials, the answer is the same 401', async (t) => {
  const { post } = await server()
  const wrong = [
    asNobody,
    basic(auth.id, 'wrong'),
    basic(auth.id, ''),
    basic('nobody', auth.secret),
    basic('__proto__', ''),
    basic('', ''),
    basic(auth.id, '%zz'),
    { Authorization: 'Basic' },
    { Authorization: 'Basic !!!!' },
    { Authorization: `Basic ${Buffer.from('no colon').toString('base64')}` },
    { Authorization: `Bearer ${auth.secret}` },
    { Authorization: `Digest ${auth.secret}` },
  ]
  for (const headers of wrong) {
    const reply = await post('/tokens/create', { subject: 'user-1' }, headers)
    t.is(reply.status, 401, JSON.stringify(headers))
    t.like(reply.json, { code: 'invalid_client', error: 'invalid_client' })
    t.is(reply.headers.get('www-authenticate'), 'Basic realm="munjigi", charset="UTF-8"')
    t.false(reply.text.includes(auth.secret))
  }
  const inBody = await post(
    '/tokens/create',
    { subject: 'user-1', client_id: auth.id, client_secret: 'x' },
    {},
  )
  t.is(inBody.status, 401)
})

test('credentials in two places, or of the wrong kind, are no request', async (t) => {
  const { post, url } = await server()
  for (const body of [
    { client_id: auth.id, client_secret: auth.secret },
    { client_secret: auth.secret },
    { client_id: 'shop' },
    { client_id: 1 },
    { client_id: auth.id, client_secret: ['x'] },
  ]) {
    const { status, json, text } = await post('/tokens/create', { subject: 'user-1', ...body })
    t.is(status, 400, JSON.stringify(body))
    t.is(json.error, 'invalid_request')
    t.false(text.includes(auth.secret))
  }
  const twice = await request(`${url}/tokens/create`, {
    method: 'POST',
    headers: {
      ...asAuth,
      Authorization: [asAuth.Authorization, asAuth.Authorization],
      'Content-Type': 'application/json',
    },
    body: '{"subject":"user-1"}',
  })
  t.is(twice.status, 400)
})

test('failed authentications are counted, with the client where one was named, and a block is a 429', async (t) => {
  const failed: unknown[] = []
  const counted = await startTokenServer(t, await parts(), {
    routes: {
      failures: {
        blocked: async (_address, clientId) => {
          if (clientId === 'shop')
            throw new GatewayError('too_many_requests', { headers: { 'Retry-After': '7' } })
        },
        failed: async (address, clientId) => void failed.push([address, clientId]),
      },
    },
  })
  await counted.post('/tokens/create', { subject: 'user-1' }, basic(auth.id, 'wrong'))
  await counted.post('/tokens/create', { subject: 'user-1' }, basic(auth.id, auth.secret))
  await counted.post('/tokens/create', { subject: 'user-1', client_id: 'x', client_secret: 'y' }, asNobody)
  t.deepEqual(failed, [
    ['127.0.0.1', auth.id],
    ['127.0.0.1', undefined],
  ])
  const blocked = await counted.post('/tokens/create', { subject: 'user-1' }, basic('shop', 'wrong'))
  t.is(blocked.status, 429)
  t.is(blocked.headers.get('retry-after'), '7')
  t.like(blocked.json, { code: 'too_many_requests', error: 'temporarily_unavailable' })
})

test('every fault of a body is named with what was expected, and no value is shown', async (t) => {
  const { post } = await server()
  const { status, json, text } = await post('/tokens/create', {
    subject: 'secret value',
    scope: 'double  space',
    audience: [],
    claims: { sub: 'secret value', exp: 1 },
    extra: 'secret value',
    'secret value as a name': 1,
  })
  t.is(status, 400)
  t.is(json.error_description, json.detail)
  for (const fault of [
    'subject: expected 1 to 255 visible ASCII characters without spaces',
    'scope: expected scopes separated by single spaces',
    'audience: expected 1 to 255 visible ASCII characters, or a list of 1 to 4 such',
    'claims: sub, exp may not be set by a client',
    'extra, a member: not known here',
  ]) {
    t.true(json.detail.includes(fault), `${fault} is missing in ${json.detail}`)
  }
  t.false(text.includes('secret value'))
})

test('what a subject, a scope, an audience and claims may not be', async (t) => {
  const { post } = await server()
  const good = { subject: 'user-1' }
  const bad: unknown[] = [
    {},
    { subject: '' },
    { subject: 'x'.repeat(256) },
    { subject: 'two words' },
    { subject: 'line\nfeed' },
    { subject: '한국어' },
    { subject: 1 },
    { subject: ['user-1'] },
    { subject: { $gt: '' } },
    { subject: null },
    { ...good, scope: 'a\tb' },
    { ...good, scope: 'quo"te' },
    { ...good, scope: ' a' },
    { ...good, scope: 'x'.repeat(1025) },
    { ...good, scope: ['a'] },
    { ...good, audience: '' },
    { ...good, audience: ['a', 'b', 'c', 'd', 'e'] },
    { ...good, audience: ['a', 1] },
    { ...good, claims: [] },
    { ...good, claims: 'text' },
    { ...good, claims: { text: 'x'.repeat(2048) } },
    { ...good, claims: { nul: '\0' } },
    { ...good, claims: { '\0': 1 } },
    { ...good, claims: { deep: [{ half: '\ud800' }] } },
    { ...good, claims: { sid: 'x' } },
  ]
  for (const body of bad) {
    const { status, json } = await post('/tokens/create', body)
    t.is(status, 400, JSON.stringify(body).slice(0, 100))
    t.is(json.code, 'invalid_request')
  }
})

test('a body that is no object, or says a thing twice, is refused as a request', async (t) => {
  const { post, form } = await server()
  const deep = `{"subject":"u","claims":{"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}}`
  const bodies = [
    '{',
    '[]',
    '"text"',
    'null',
    '1',
    '{"subject":"a","subject":"b"}',
    '{"a":1,"\\u0061":2}',
    deep,
  ]
  for (const body of [
    ...bodies,
    '{"subject":"user-1","claims":{"x":{"y":1,"y":2}}}',
    '{"__proto__":{"subject":"u"}}',
  ]) {
    const { status, json } = await post('/tokens/create', body)
    t.is(status, 400, body.slice(0, 60))
    t.is(json.error, 'invalid_request')
  }
  for (const body of [
    'subject=a&subject=b',
    'subject[x]=a',
    'subject=a&claims={',
    'subject=a&claims=[1]',
    'subject=a&__proto__[polluted]=1',
    'subject',
    '%',
  ]) {
    const { status, json } = await form('/tokens/create', body, asAuth)
    t.is(status, 400, body)
    t.is(json.error, 'invalid_request')
  }
  t.is(({} as { polluted?: unknown }).polluted, undefined)
})

test('a form member without a value counts as left out (RFC 6749 §3.2)', async (t) => {
  const { form } = await server()
  t.is((await form('/tokens/create', 'subject=user-1&scope=&claims=', asAuth)).status, 200)
})

test('no body is an empty one', async (t) => {
  const { url } = await server()
  const reply = await fetch(`${url}/tokens/create`, { method: 'POST', headers: asAuth })
  t.is(reply.status, 400)
  t.regex(await reply.text(), /subject: expected/)
})

test('more than 64 KB is 413, with and without a length', async (t) => {
  const { url, post } = await server()
  const body = JSON.stringify({ subject: 'x'.repeat(65_536) })
  const known = await post('/tokens/create', body)
  t.is(known.status, 413)
  t.like(known.json, { code: 'payload_too_large', error: 'invalid_request' })
  const chunked = await request(`${url}/tokens/create`, {
    method: 'POST',
    headers: { ...asAuth, 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' },
    body,
  })
  t.is(chunked.status, 413)
})

test('another media type and a compressed body are 415', async (t) => {
  const { url } = await server()
  const others: Record<string, string>[] = [
    { 'Content-Type': 'text/plain' },
    { 'Content-Type': 'multipart/form-data; boundary=x' },
    { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
    { 'Content-Type': 'nonsense' },
    {},
  ]
  for (const headers of others) {
    const reply = await request(`${url}/tokens/create`, {
      method: 'POST',
      headers: { ...asAuth, ...headers },
      body: '{"subject":"user-1"}',
    })
    t.is(reply.status, 415, JSON.stringify(headers))
    t.is(JSON.parse(reply.body).error, 'invalid_request')
  }
})

test('replies are kept by nobody, errors neither', async (t) => {
  const { post } = await server()
  for (const reply of [
    await post('/tokens/create', { subject: someone() }),
    await post('/tokens/create', {}),
    await post('/tokens/verify', { token: 'x' }),
    await post('/tokens/revoke', { token: 'x' }),
  ]) {
    t.is(reply.headers.get('cache-control'), 'no-store')
    t.is(reply.headers.get('pragma'), 'no-cache')
  }
})

test('another method is 405 with Allow, OPTIONS says it as well, and a path that is none is 404', async (t) => {
  const { url, post } = await server()
  const get = await fetch(`${url}/tokens/create`)
  t.is(get.status, 405)
  t.is(get.headers.get('allow'), 'POST, OPTIONS')
  t.like(await get.json(), { code: 'method_not_allowed', error: 'invalid_request' })
  const options = await fetch(`${url}/tokens/create`, { method: 'OPTIONS' })
  t.is(options.status, 204)
  t.is(options.headers.get('allow'), 'POST, OPTIONS')
  const remove = await fetch(`${url}/.well-known/jwks.json`, { method: 'DELETE' })
  t.is(remove.status, 405)
  t.is(remove.headers.get('allow'), 'HEAD, GET, OPTIONS')
  for (const path of ['/tokens', '/tokens/', '/tokens/create/', '/tokens/Create', '/tokens/nothing']) {
    t.is((await fetch(url + path, { method: 'POST' })).status, 404, path)
  }
  t.is((await post('/tokens/create', { subject: someone() })).status, 200)
})

test('a database that fails in an unforeseen way is a 500 that says nothing', async (t) => {
  const standing = await parts()
  const run = async () => {
    throw new Error('password of the database')
  }
  const broken = await startTokenServer(t, standing, { routes: { database: { ...standing.database, run } } })
  const { status, json, text } = await broken.post('/tokens/create', { subject: someone() })
  t.is(status, 500)
  t.like(json, { code: 'internal_error', error: 'server_error' })
  t.false(text.includes('password'))
})

test('no token and no secret is in the log, whatever was asked', async (t) => {
  const { post, lines } = await server()
  const { json } = await post('/tokens/create', { subject: someone() })
  for (const path of ['verify', 'revoke', 'refresh']) {
    const member = path === 'refresh' ? 'refresh_token' : 'token'
    await post(`/tokens/${path}`, { [member]: json.refresh_token, [json.access_token]: 1 })
    await post(`/tokens/${path}`, { [member]: json.refresh_token }, basic('auth', 'a wrong secret'))
    await post(`/tokens/${path}`, { [member]: json.refresh_token })
  }
  const log = JSON.stringify(lines)
  for (const secret of [json.refresh_token, json.access_token, auth.secret, 'a wrong secret']) {
    t.false(log.includes(secret))
  }
})
