import test, { type ExecutionContext } from 'ava'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { rawClient } from '../support/raw-client.ts'
import { codeOf, type Reply, request } from '../support/request.ts'
import { deadOrigin, httpUpstream, scriptedUpstream } from '../support/upstream.ts'

const origin = 'https://www.jinmini.com'
const env = { CORS_ORIGINS: `${origin}, http://localhost:3000` }
const exposed = 'X-Request-Id, WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, ETag, Location'

const preflight = (from: string, headers: Record<string, string> = {}) => ({
  method: 'OPTIONS',
  headers: { Origin: from, 'Access-Control-Request-Method': 'PUT', ...headers },
})

/** Every header of one name, as they came. */
function all({ rawHeaders }: Reply, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name)
}

const corsHeaders = ({ headers }: Reply) =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-'))

/** A house that answers everything with these headers, and a gateway in front of it that lets `origin` in. */
async function opened(
  t: ExecutionContext,
  replyHeaders: Record<string, string | string[]> = {},
  description: Record<string, unknown> = {},
) {
  const seen: string[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    seen.push(incoming.method!)
    response.writeHead(200, replyHeaders).end('hello')
  })
  return { ...(await startGatewayFor(t, house.origin, description, env)), seen }
}

test('a front end that is listed may read a reply of a house, with credentials', async (t) => {
  const { url } = await opened(t)
  for (const from of [origin, 'http://localhost:3000']) {
    const reply = await request(`${url}/api/house`, { headers: { Origin: from } })
    t.is(reply.body, 'hello')
    t.like(reply.headers, {
      'access-control-allow-origin': from,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': exposed,
      vary: 'Origin',
    })
  }
})

test('the preflight of a listed origin is answered by the gateway, also for a guarded route', async (t) => {
  const { url, seen, access } = await opened(t, {}, { auth: 'required' })
  const asked = 'authorization,content-type, x-custom'
  const reply = await request(
    `${url}/api/house/1`,
    preflight(origin, { 'Access-Control-Request-Headers': asked }),
  )
  t.is(reply.status, 204)
  t.is(reply.body, '')
  t.like(reply.headers, {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    'access-control-allow-headers': asked,
    'access-control-max-age': '600',
    vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
  })
  t.deepEqual(seen, [])
  t.like(access[0], { method: 'OPTIONS', path: '/api/house/1', status: 204, service: undefined })
})

test('a preflight that asks for what is no header name gets no header names back', async (t) => {
  const { url } = await opened(t)
  const reply = await request(
    `${url}/api/house`,
    preflight(origin, { 'Access-Control-Request-Headers': 'x-a, "<script>"' }),
  )
  t.is(reply.status, 204)
  t.is(reply.headers['access-control-allow-headers'], undefined)
})

test('a preflight for an ambiguous path is a 400 that the front end can read', async (t) => {
  const { url } = await opened(t)
  const reply = await request(`${url}/api/house%2f..`, preflight(origin))
  t.is(codeOf(reply), 'ambiguous_path')
  t.is(reply.headers['access-control-allow-origin'], origin)
})

for (const foreign of [
  'null',
  'https://www.jinmini.com.evil.example',
  'https://evil-www.jinmini.com',
  'https://evil.example/https://www.jinmini.com',
  'http://www.jinmini.com',
  'https://www.jinmini.com:443',
  'https://www.jinmini.com:8443',
  'https://WWW.jinmini.com',
  'https://www.jinmini.com/',
  'https://jinmini.com',
  'https://www.jinmini.com.',
  `${origin}, ${origin}`,
  `${origin} ${origin}`,
  '*',
  '',
]) {
  test(`nothing of CORS is said to ${foreign || 'an empty origin'}, whose request is handled as ever`, async (t) => {
    const { url, seen } = await opened(t, { 'Access-Control-Allow-Origin': '*' })
    const simple = await request(`${url}/api/house`, { headers: { Origin: foreign } })
    t.is(simple.status, 200)
    const asked = await request(`${url}/api/house`, preflight(foreign))
    t.deepEqual([...corsHeaders(simple), ...corsHeaders(asked)], [])
    t.is(simple.headers.vary, 'Origin')
    t.deepEqual(seen, ['GET', 'OPTIONS'])
  })
}

test('two Origin headers are nobody', async (t) => {
  const { port } = await opened(t)
  const client = await rawClient(t, port)
  client.send(
    `GET /api/house HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n`,
  )
  const { text } = await client.ended()
  t.true(text.startsWith('HTTP/1.1 200'))
  t.notRegex(text, /access-control-allow-origin: http:\/\/evil/i)
})

test('the preflight of a foreign origin does not come to a guarded house', async (t) => {
  const { url, seen } = await opened(t, {}, { auth: 'required' })
  const reply = await request(`${url}/api/house`, preflight('https://evil.example'))
  t.is(reply.status, 401)
  t.deepEqual(corsHeaders(reply), [])
  t.deepEqual(seen, [])
})

test('the gateway has the last word on CORS: a house neither doubles nor contradicts it', async (t) => {
  const { url } = await opened(t, {
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Credentials': 'false',
    'Access-Control-Allow-Private-Network': 'true',
    'Access-Control-Max-Age': '86400',
  })
  const reply = await request(`${url}/api/house`, { headers: { Origin: origin } })
  t.deepEqual(all(reply, 'access-control-allow-origin'), [origin])
  t.deepEqual(all(reply, 'access-control-allow-credentials'), ['true'])
  t.deepEqual(corsHeaders(reply).sort(), [
    'access-control-allow-credentials',
    'access-control-allow-origin',
    'access-control-expose-headers',
  ])
})

test('what a house exposes is added to what the gateway exposes, for listed origins only', async (t) => {
  const { url } = await opened(t, { 'Access-Control-Expose-Headers': ['X-Total-Count', 'Link'] })
  const listed = await request(`${url}/api/house`, { headers: { Origin: origin } })
  t.deepEqual(all(listed, 'access-control-expose-headers'), [`${exposed}, X-Total-Count, Link`])
  const foreign = await request(`${url}/api/house`, { headers: { Origin: 'https://evil.example' } })
  t.deepEqual(corsHeaders(foreign), [])
})

for (const [house, merged] of [
  [['Accept-Encoding', 'Accept'], 'Accept-Encoding, Accept, Origin'],
  [['Accept, origin'], 'Accept, origin'],
  [['X-Origin'], 'X-Origin, Origin'],
  [['*'], '*'],
] as const) {
  test(`a house's Vary: ${house.join(' and ')} becomes ${merged}`, async (t) => {
    const { url } = await opened(t, { Vary: [...house] })
    for (const headers of [{}, { Origin: origin }]) {
      const reply = await request(`${url}/api/house`, { headers })
      t.deepEqual(all(reply, 'vary'), [merged])
    }
  })
}

test('what a house sends several times still comes several times', async (t) => {
  const { url } = await opened(t, { 'Set-Cookie': ['a=1', 'b=2'], Link: ['<a>', '<b>'] })
  const reply = await request(`${url}/api/house`, { headers: { Origin: origin } })
  t.deepEqual(all(reply, 'set-cookie'), ['a=1', 'b=2'])
  t.deepEqual(all(reply, 'link'), ['<a>', '<b>'])
})

test('errors are no riddle to a front end: they carry the CORS headers as well', async (t) => {
  const services = {
    guarded: { urls: ['http://localhost:1'], openapi: false },
    gone: { urls: [await deadOrigin()], auth: 'none', openapi: false },
    broken: { urls: [(await scriptedUpstream(t, 'nonsense\r\n\r\n')).origin], auth: 'none', openapi: false },
    silent: {
      urls: [(await scriptedUpstream(t, () => {})).origin],
      auth: 'none',
      openapi: false,
      timeout: '50ms',
    },
  }
  const { url } = await startGateway(t, { file: { services }, env })
  for (const [path, code] of [
    ['/api/guarded', 'authentication_required'],
    ['/api/gone', 'upstream_refused'],
    ['/api/broken', 'upstream_bad_response'],
    ['/api/silent', 'upstream_timeout'],
    ['/api%2fgone', 'ambiguous_path'],
    ['/nowhere', 'not_found'],
    ['/docs/nowhere', 'not_found'],
  ] as const) {
    const reply = await request(`${url}${path}`, { headers: { Origin: origin } })
    t.is(codeOf(reply), code)
    t.deepEqual(all(reply, 'access-control-allow-origin'), [origin], path)
    t.is(reply.headers['access-control-expose-headers'], exposed, path)
    t.is(reply.headers.vary, 'Origin', path)
  }
})

test("the gateway's own endpoints answer a front end too, and vary by more than its origin", async (t) => {
  const { url } = await startGateway(t, { env })
  const reply = await request(url, { headers: { Origin: origin } })
  t.is(reply.headers['access-control-allow-origin'], origin)
  t.is(reply.headers.vary, 'Origin, Accept')
  const asked = await request(`${url}/tokens/revoke`, preflight(origin))
  t.is(asked.status, 204)
})

test('an OPTIONS request that is no preflight goes to the house, and its reply can be read', async (t) => {
  const { url, seen } = await opened(t, { Allow: 'GET' })
  const reply = await request(`${url}/api/house`, { method: 'OPTIONS', headers: { Origin: origin } })
  t.is(reply.headers.allow, 'GET')
  t.is(reply.headers['access-control-allow-origin'], origin)
  t.deepEqual(seen, ['OPTIONS'])
})

test('where no origin is listed CORS is the business of the houses', async (t) => {
  const house = await httpUpstream(t, (incoming, response) => {
    response.writeHead(incoming.method === 'OPTIONS' ? 204 : 200, {
      'Access-Control-Allow-Origin': 'https://of-the-house.example',
      'Access-Control-Max-Age': '5',
    })
    response.end()
  })
  const { url } = await startGatewayFor(t, house.origin)
  for (const options of [preflight(origin), { headers: { Origin: origin } }]) {
    const reply = await request(`${url}/api/house`, options)
    t.is(reply.headers['access-control-allow-origin'], 'https://of-the-house.example')
    t.is(reply.headers['access-control-max-age'], '5')
    t.is(reply.headers.vary, undefined)
  }
})
