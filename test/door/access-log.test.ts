import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { createLog } from '../../src/observability/log.ts'
import { inCalm } from '../support/calm.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { startIssuer } from '../support/issuer.ts'
import { rawClient } from '../support/raw-client.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

/** A gateway whose log is the real one, at its most talkative. */
async function talkativeGateway(
  t: ExecutionContext,
  format: 'people' | 'json',
  env: Record<string, string> = {},
) {
  const lines: string[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    if (incoming.url?.startsWith('/fail')) incoming.socket.destroy()
    else if (incoming.url?.startsWith('/slow')) incoming.resume()
    else response.setHeader('Set-Cookie', 'session=cookie-of-house').end('body-of-house')
  })
  const gateway = await startGateway(t, {
    file: {
      services: {
        auth: {
          urls: [house.origin],
          path: ['/api/user', '/api/slow', '/api/fail'],
          strip: '/api',
          auth: 'none',
          openapi: false,
        },
        dead: { urls: [await deadOrigin()], auth: 'none', openapi: false },
        closed: { urls: [house.origin], openapi: false },
      },
    },
    env,
    log: createLog({ level: 'debug', format, write: (line) => lines.push(line) }),
  })
  const accessLines = () => lines.filter((line) => line.startsWith('→ ') || line.includes('"msg":"request"'))
  return { ...gateway, house, lines, accessLines }
}

test('in development a request is one line: method, path, house, status and time', async (t) => {
  const { url, house, accessLines } = await talkativeGateway(t, 'people')
  await request(`${url}/api/user/login?password=x`, { method: 'POST', body: '{}' })
  await until(() => accessLines().length === 1, 'the line')
  const address = house.origin.slice('http://'.length).replaceAll('.', '\\.')
  t.regex(
    accessLines()[0]!,
    new RegExp(`^→ POST /api/user/login {2}auth@${address} {2}200 {2}\\d+\\.\\d ms\n$`),
  )
})

test('every request has its line: the gateway’s own, refused, failed and aborted ones', async (t) => {
  const { url, port, house, accessLines } = await talkativeGateway(t, 'people')
  const controller = new AbortController()
  await request(`${url}/openapi`)
  await request(`${url}/nowhere`)
  await request(`${url}/api/closed`)
  await request(`${url}/api/dead`)
  await request(`${url}/api/fail`)
  for (const line of ['GET /api/%2e%2e/x HTTP/1.1', 'GET / HTTP/9.9']) {
    const client = await rawClient(t, port)
    client.send(`${line}\r\nHost: a\r\nConnection: close\r\n\r\n`)
    await client.ended()
  }
  const aborted = fetch(`${url}/api/slow`, { signal: controller.signal })
  await until(() => accessLines().length === 7, 'seven lines')
  await until(() => house.connections.open > 0, 'it is at the house')
  controller.abort()
  await t.throwsAsync(aborted)
  await until(() => accessLines().length === 8, 'eight lines')
  const seen = accessLines().map((line) =>
    line
      .replace(/ {2}\d+\.\d ms/, '')
      .replace(/127\.0\.0\.1:\d+/, 'house')
      .trimEnd(),
  )
  t.deepEqual(seen, [
    '→ GET /openapi  gateway  200',
    '→ GET /nowhere  gateway  404  not_found',
    '→ GET /api/closed  closed@-  401  authentication_required',
    '→ GET /api/dead  dead@house  502  upstream_refused',
    '→ GET /api/fail  auth@house  502  attempt 2  upstream_reset',
    '→ GET -  gateway  400  ambiguous_path',
    '→ - -  gateway  400  bad_request',
    '→ GET /api/slow  auth@house  499  client_closed_request',
  ])
})

test('a probe that is well has no line, and one that is not has one', async (t) => {
  const { url, access } = await startGateway(t)
  for (const path of ['/livez', '/readyz', '/metrics']) t.is((await request(url + path)).status, 200)
  t.is((await request(`${url}/livez`, { method: 'DELETE' })).status, 405)
  const metrics = (await request(`${url}/metrics`)).body
  t.regex(metrics, /route="\/livez"/)
  await until(() => access.length > 0, 'a line')
  t.deepEqual(
    access.map(({ path, status }) => `${path} ${status}`),
    ['/livez 405'],
  )
})

test('a WebSocket handshake that is declined has its line too', async (t) => {
  const { port, accessLines } = await talkativeGateway(t, 'people')
  const client = await rawClient(t, port)
  client.send('GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await client.ended()
  t.regex(accessLines()[0]!, /^→ GET \/nowhere {2}gateway {2}404 /)
})

for (const format of ['people', 'json'] as const) {
  test(
    `${format}: no secret of a request or reply is in any line, whatever becomes of it`,
    inCalm(async (t) => {
      const { url, port, lines, accessLines } = await talkativeGateway(t, format, {
        REQUEST_TIMEOUT: '300ms',
      })
      const secrets = [
        'secret-in-query',
        'secret-token',
        'cookie-of-client',
        'cookie-of-house',
        'secret-in-body',
        'body-of-house',
        'secret-in-header',
        'secret-user',
        'secret-fragment',
      ]
      const head = (path: string, more = '') =>
        `POST ${path}?code=secret-in-query HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret-token\r\nCookie: session=cookie-of-client\r\nX-Api-Key: secret-in-header\r\nConnection: close\r\nContent-Length: 14\r\n${more}\r\nsecret-in-body`
      const requests = [
        head('/api/user/login'),
        head('/api/fail'),
        head('/api/slow'),
        head('/api/dead'),
        head('/api/closed'),
        head('/nowhere'),
        head('/livez'),
        head('/api/%2e%2e/'),
        head('/api/user/login', 'Bad Header secret-in-header\r\n'),
        head('/api/user/login', 'Transfer-Encoding: chunked\r\n'),
        'GET http://secret-user:secret-token@a/api/user HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
        'GET /api/user#secret-fragment HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
        'CONNECT secret-user:443 HTTP/1.1\r\nHost: a\r\n\r\n',
        'GET /api/fail?code=secret-in-query HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer secret-token\r\nSec-WebSocket-Protocol: secret-token\r\n\r\n',
        'secret-token\r\n\r\n',
      ]
      for (const text of requests) {
        const client = await rawClient(t, port)
        client.send(text)
        await client.ended()
      }
      await request(`${url}/api/user/login?code=secret-in-query`)
      await until(() => accessLines().length === requests.length + 1, 'all lines')
      for (const secret of secrets) t.false(lines.join('').includes(secret), secret)
    }),
  )

  test(`${format}: no byte of a path or method can begin a new line or move a terminal's cursor`, async (t) => {
    const { port, lines, accessLines } = await talkativeGateway(t, format)
    const targets = [
      '/api/user/%0d%0a%1b[2J',
      '/api/user/\x1b[2J',
      '/api/user/\x9b31m',
      '/%e2%80%ae',
      '/api/user/%C2%9B31m',
      '/\x7f',
    ]
    for (const target of targets) {
      const client = await rawClient(t, port)
      client.send(
        `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: \x1b[31mabcdefgh\r\n\r\n`,
      )
      await client.ended()
    }
    const client = await rawClient(t, port)
    client.send('G\x1b[2JET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.ended()
    await until(() => accessLines().length === targets.length + 1, 'all lines')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    for (const line of lines) t.regex(line, /^[^\x00-\x1f\x7f-\x9f]*\n$/)
  })
}

test('in production a line has what was measured, and neither query nor headers nor body', async (t) => {
  const { url, house, accessLines } = await talkativeGateway(t, 'json')
  await request(`${url}/api/user/login?password=x`, {
    method: 'POST',
    body: '{}',
    headers: { 'X-Request-Id': 'callers-own-id' },
  })
  await until(() => accessLines().length === 1, 'the line')
  const { time, durationMs, ...rest } = JSON.parse(accessLines()[0]!)
  t.true(durationMs > 0)
  t.deepEqual(rest, {
    level: 'info',
    requestId: 'callers-own-id',
    method: 'POST',
    route: '/api/user',
    path: '/api/user/login',
    status: 200,
    clientAddress: '127.0.0.1',
    bytesReceived: 2,
    bytesSent: 'body-of-house'.length,
    service: 'auth',
    instance: house.origin.slice('http://'.length),
    attempts: 1,
    msg: 'request',
  })
})

test('the bytes of a reply without a body are none', async (t) => {
  const { url, access } = await startGateway(t)
  await request(`${url}/`, { method: 'HEAD' })
  await request(`${url}/nowhere`, { method: 'HEAD' })
  const { body } = await request(`${url}/`)
  t.true(body.length > 0)
  t.deepEqual(
    access.map((entry) => entry.bytesSent),
    [0, 0, Buffer.byteLength(body)],
  )
})

test('a request that fails once its connection has been ended says why, not 404', async (t) => {
  const house = await httpUpstream(t, (incoming) => incoming.resume())
  const { port, access } = await startGatewayFor(t, house.origin)
  const arrived = once(house.server, 'request')
  const client = await rawClient(t, port, { allowHalfOpen: true })
  client.send('PUT /api/house HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
  await arrived
  // No chunk: the gateway says 400 and ends the connection, which the client leaves as it is.
  client.send('zz\r\n')
  await client.receive('bad_request')
  await house.close()
  await until(() => access.some(({ method }) => method === 'PUT'), 'the line')
  t.like(
    access.find(({ method }) => method === 'PUT'),
    { status: 502, errorCode: 'upstream_reset' },
  )
})

test('a line has the route, the caller’s trace, and the bytes both ways', async (t) => {
  const house = await httpUpstream(t, (incoming, response) => {
    incoming.resume().on('end', () => response.end('12345'))
  })
  const { url, access } = await startGatewayFor(t, house.origin)
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00'
  await request(`${url}/api/house/a/b`, { method: 'POST', body: 'x'.repeat(1000), headers: { traceparent } })
  await request(`${url}/api/house`)
  await request(`${url}/openapi.json`)
  await until(() => access.length === 3, 'three lines')
  t.like(access[0], {
    route: '/api/house',
    path: '/api/house/a/b',
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    bytesReceived: 1000,
    bytesSent: 5,
  })
  t.like(access[1], { route: '/api/house', traceId: undefined, bytesReceived: undefined })
  t.like(access[2], { route: '/openapi.json', service: undefined })
})

test('a line has the subject that was verified, and nothing of a token that was not', async (t) => {
  const issuer = await startIssuer(t)
  const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
  const path = ['/api/house', '/api/house/open; auth=none', '/api/house/books; scope=books:read']
  const { url, access } = await startGateway(t, {
    file: { services: { house: { urls: [house.origin], openapi: false, path } } },
    env: { TRUSTED_ISSUERS: issuer.setting },
  })
  const token = await issuer.token()
  const forged = `${token.slice(0, -8)}AAAAAAAA`
  const asked = [
    ['/api/house', token],
    ['/api/house', forged],
    ['/api/house/open', token],
    ['/api/house/books', token],
  ] as const
  for (const [to, bearer] of asked) {
    await request(url + to, { headers: { authorization: `Bearer ${bearer}` } })
  }
  await until(() => access.length === asked.length, 'all lines')
  t.deepEqual(
    access.map(({ status, subject }) => [status, subject]),
    [
      [200, 'user-1'],
      [401, undefined],
      [200, undefined],
      [403, undefined],
    ],
  )
})

for (const format of ['people', 'json'] as const) {
  test(`${format}: where paths hold secrets the route alone is told`, async (t) => {
    const lines: string[] = []
    const house = await httpUpstream(t, (_incoming, response) => response.end('house'))
    const log = createLog({ level: 'debug', format, paths: 'route', write: (line) => lines.push(line) })
    const { url } = await startGateway(t, {
      file: { services: { house: { urls: [house.origin], auth: 'none', openapi: false } } },
      log,
    })
    for (const to of ['/api/house/reset/secret', '/secret', '/docs/secret']) await request(url + to)
    await until(() => lines.filter((line) => /unmatched|docs/.test(line)).length >= 2, 'the lines')
    t.notRegex(lines.join(''), /secret/)
    t.regex(lines.join(''), /\/api\/house\b/)
  })
}

test('of what an entry may have got hold of only what is named comes into the log', (t) => {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json', write: (line) => lines.push(line) })
  const entry = {
    requestId: 'request-1',
    method: 'GET',
    path: '/',
    status: 200,
    durationMs: 1,
    clientAddress: '127.0.0.1',
    bytesSent: 0,
  }
  log.access({ ...entry, ...{ authorization: 'secret', headers: { cookie: 'secret' } } })
  const { time, ...rest } = JSON.parse(lines[0]!)
  t.deepEqual(rest, { level: 'info', msg: 'request', ...entry })
})
