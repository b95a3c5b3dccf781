import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import test, { type ExecutionContext } from 'ava'
import { startGateway } from '../support/gateway.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

/** A gateway that trusts an issuer, and a house behind it whose routes ask for a caller in every way there is. */
async function guarded(t: ExecutionContext, env: Readonly<Record<string, string>> = {}, issuer?: TestIssuer) {
  const trusted = issuer ?? (await startIssuer(t))
  const seen: IncomingHttpHeaders[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    seen.push(incoming.headers)
    response.end('house')
  })
  const path = [
    '/api/house',
    '/api/house/optional; auth=optional',
    '/api/house/open; auth=none',
    '/api/house/books; scope=books:read books:write',
  ]
  const gateway = await startGateway(t, {
    file: { services: { house: { urls: [house.origin], openapi: false, path } } },
    env: { TRUSTED_ISSUERS: trusted.setting, ...env },
  })
  const ask = (to: string, token?: string) =>
    request(`${gateway.url}/api/house${to}`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    })
  return { ...gateway, trusted, seen, house, ask }
}

test('a route that requires a caller answers 401 to nobody in particular, and forwards nothing', async (t) => {
  const { ask, seen } = await guarded(t)
  const reply = await ask('')
  t.is(reply.status, 401)
  t.is(codeOf(reply), 'authentication_required')
  t.is(reply.headers['www-authenticate'], 'Bearer')
  t.is(seen.length, 0)
})

test('the house is told who is calling, by whose word, and with which scope', async (t) => {
  const { ask, seen, trusted } = await guarded(t)
  t.is((await ask('', await trusted.token({ scope: 'books:read profile' }))).status, 200)
  t.like(seen[0], {
    'x-user-id': 'user-1',
    'x-user-scope': 'books:read profile',
    'x-user-issuer': trusted.issuer,
  })
})

test('the second request with a token is answered as the first', async (t) => {
  const { ask, seen, trusted } = await guarded(t)
  const token = await trusted.token()
  for (let i = 0; i < 3; i += 1) t.is((await ask('', token)).status, 200)
  t.deepEqual(
    seen.map((headers) => headers['x-user-id']),
    ['user-1', 'user-1', 'user-1'],
  )
})

test('what a client says of itself never reaches the house, in whatever spelling', async (t) => {
  const { port, seen, trusted } = await guarded(t)
  const client = await rawClient(t, port)
  const lies = [
    'X-User-Id',
    'x_user_id',
    'X-USER_ID',
    'X-User-Scope',
    'x_user_scope',
    'X-User-Issuer',
    'X-User-Admin',
  ]
  const token = await trusted.token()
  client.send(
    `GET /api/house HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close, X-User-Id\r\n${lies
      .map((name) => `${name}: admin\r\n`)
      .join('')}\r\n`,
  )
  await client.ended()
  t.is(seen[0]?.['x-user-id'], 'user-1')
  t.notRegex(JSON.stringify(seen[0]), /admin/)
})

test('with names of the operator’s own, their look-alikes are removed as well', async (t) => {
  const names = {
    USER_ID_HEADER: 'X-Account',
    USER_SCOPE_HEADER: 'X-Rights',
    USER_ISSUER_HEADER: 'X-Authority',
  }
  const { url, seen, trusted } = await guarded(t, names)
  const headers = { x_account: 'admin', 'X.Account': 'admin', 'x-rights': 'all', 'X-User-Id': 'admin' }
  await request(`${url}/api/house/open`, { headers })
  await request(`${url}/api/house`, {
    headers: { ...headers, authorization: `Bearer ${await trusted.token()}` },
  })
  t.notRegex(JSON.stringify(seen), /admin|"all"/)
  t.like(seen[1], { 'x-account': 'user-1', 'x-authority': trusted.issuer })
})

test('an optional route lets nobody in particular in, and names a caller who shows a token', async (t) => {
  const { ask, seen, trusted } = await guarded(t)
  t.is((await ask('/optional')).status, 200)
  t.is((await ask('/optional', await trusted.token())).status, 200)
  t.deepEqual(
    seen.map((headers) => headers['x-user-id']),
    [undefined, 'user-1'],
  )
})

test('an optional route refuses a token that is not valid: bad credentials are not none', async (t) => {
  const { ask, seen } = await guarded(t)
  const reply = await ask('/optional', 'invented')
  t.is(reply.status, 401)
  t.regex(String(reply.headers['www-authenticate']), /^Bearer error="invalid_token"/)
  t.is(seen.length, 0)
})

for (const [name, authorization] of [
  ['a tab instead of the space', 'Bearer\tTOKEN'],
  ['a comma', 'Bearer,TOKEN'],
  ['a colon', 'Bearer:TOKEN'],
  ['an equals sign', 'bearer=TOKEN'],
  ['a tab after the space', 'Bearer \tTOKEN'],
  ['a no-break space', 'Bearer\xa0TOKEN'],
  ['nothing', 'Bearer'],
]) {
  test(`an optional route refuses what says Bearer and goes on with ${name}`, async (t) => {
    const { url, seen, trusted } = await guarded(t)
    const headers = { authorization: authorization!.replace('TOKEN', await trusted.token()) }
    const reply = await request(`${url}/api/house/optional`, { headers })
    t.is(reply.status, 401)
    t.is(codeOf(reply), 'invalid_token')
    t.regex(String(reply.headers['www-authenticate']), /^Bearer error="invalid_token"/)
    t.is(seen.length, 0)
  })
}

test('a scheme that only begins like Bearer is another scheme', async (t) => {
  const { url, seen } = await guarded(t)
  for (const authorization of ['Bearer-Of-News x', 'BearerX y', 'Bearer_ z']) {
    t.is((await request(`${url}/api/house/optional`, { headers: { authorization } })).status, 200)
  }
  t.is(seen.length, 3)
})

test('an open route does not look at credentials, and says nothing of them', async (t) => {
  const { ask, seen, trusted } = await guarded(t)
  t.is((await ask('/open', 'invented')).status, 200)
  t.is((await ask('/open', await trusted.token())).status, 200)
  t.deepEqual(
    seen.map((headers) => headers['x-user-id']),
    [undefined, undefined],
  )
})

test('a token without the scopes of the route is refused with 403, which names them', async (t) => {
  const { ask, seen, trusted } = await guarded(t)
  const reply = await ask('/books', await trusted.token({ scope: 'books:read' }))
  t.is(reply.status, 403)
  t.is(codeOf(reply), 'insufficient_scope')
  t.is(reply.headers['www-authenticate'], 'Bearer error="insufficient_scope", scope="books:read books:write"')
  t.is((await ask('/books', await trusted.token({ scope: 'books:write x books:read' }))).status, 200)
  t.is(seen.length, 1)
})

test('credentials of another scheme are the house’s business, and no token', async (t) => {
  const { url, seen } = await guarded(t)
  const headers = { authorization: 'Basic dTpw' }
  t.is((await request(`${url}/api/house/optional`, { headers })).status, 200)
  t.is(seen[0]?.authorization, 'Basic dTpw')
  const reply = await request(`${url}/api/house`, { headers })
  t.is(codeOf(reply), 'authentication_required')
})

test('a guarded upload waits for the verdict and then reaches the house whole', async (t) => {
  const received: string[] = []
  const trusted = await startIssuer(t)
  const house = await httpUpstream(t, async (incoming, response) => {
    received.push(Buffer.concat(await incoming.toArray()).toString())
    response.end('kept')
  })
  const { url } = await startGateway(t, {
    file: { services: { house: { urls: [house.origin], openapi: false } } },
    env: { TRUSTED_ISSUERS: trusted.setting },
  })
  const body = 'x'.repeat(300_000)
  const headers = { authorization: `Bearer ${await trusted.token()}` }
  const reply = await request(`${url}/api/house`, { method: 'POST', body, headers })
  t.is(reply.status, 200)
  t.is(received[0], body)
})

test('a caller who leaves while the token is verified is logged as such, and reaches no house', async (t) => {
  const trusted = await startIssuer(t)
  const held: ServerResponse[] = []
  const slow = await httpUpstream(t, (_request, response) => void held.push(response))
  const seen: string[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    seen.push(incoming.url ?? '')
    response.end()
  })
  const [issuer, jwksUrl, audience] = trusted.setting.split(' ')
  const { port, access } = await startGateway(t, {
    file: { services: { house: { urls: [house.origin], openapi: false } } },
    env: { TRUSTED_ISSUERS: `${issuer} ${slow.origin}/jwks.json ${audience}` },
  })
  const client = await rawClient(t, port)
  client.send(`GET /api/house HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${await trusted.token()}\r\n\r\n`)
  const other = await rawClient(t, port)
  await until(() => held.length > 0, 'the keys are asked for')
  client.socket.destroy()
  await client.ended()
  // The gateway has seen the end of the first connection by the time that it answers on the second.
  other.send('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
  await other.receive('200 OK')
  held[0]!.end((await request(jwksUrl!)).body)
  await until(() => access.some(({ service }) => service === 'house'), 'it is logged')
  t.like(
    access.find(({ service }) => service === 'house'),
    { status: 499, errorCode: 'client_closed_request' },
  )
  t.deepEqual(seen, [])
})

test('several Authorization headers are refused, whatever they hold', async (t) => {
  const { port, trusted, seen } = await guarded(t)
  const token = await trusted.token()
  const client = await rawClient(t, port)
  const authorization = `Authorization: Bearer ${token}\r\n`
  client.send(
    `GET /api/house HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${authorization}${authorization}\r\n`,
  )
  t.regex((await client.ended()).text, /^HTTP\/1\.1 401 /)
  t.is(seen.length, 0)
})
