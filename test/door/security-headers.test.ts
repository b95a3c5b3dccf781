import test from 'ava'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { type Reply, request } from '../support/request.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

const html = { Accept: 'text/html' }

function isSecured({ headers }: Reply): boolean {
  return (
    headers['x-content-type-options'] === 'nosniff' &&
    headers['referrer-policy'] === 'no-referrer' &&
    headers['x-frame-options'] === 'DENY' &&
    headers['cross-origin-resource-policy'] === 'same-origin' &&
    /^default-src 'none'; .*frame-ancestors 'none'$/.test(String(headers['content-security-policy']))
  )
}

test('everything that the gateway itself answers is secured: pages, JSON and problems alike', async (t) => {
  const services = { gone: { urls: [await deadOrigin()], auth: 'none', openapi: false } }
  const { url } = await startGateway(t, { file: { services } })
  for (const [path, status, headers] of [
    ['/', 200, {}],
    ['/', 200, html],
    ['/docs', 200, html],
    ['/openapi.json', 200, {}],
    ['/livez', 200, {}],
    ['/readyz', 200, {}],
    ['/docs/nowhere', 404, {}],
    ['/nowhere', 404, {}],
    ['/api%2fgone', 400, {}],
    ['/api/gone', 502, {}],
  ] as const) {
    const reply = await request(`${url}${path}`, { headers })
    t.is(reply.status, status)
    t.true(isSecured(reply), `${path} ${JSON.stringify(reply.headers)}`)
  }
})

test('a page says what it needs, and nothing else comes in with it', async (t) => {
  const { url } = await startGateway(t)
  const docs = await request(`${url}/docs`, { headers: html })
  t.regex(String(docs.headers['content-security-policy']), /script-src 'nonce-/)
  const json = await request(url)
  t.is(
    json.headers['content-security-policy'],
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  )
})

test('browsers are told to stay with https where the public URL is https, and only there', async (t) => {
  const secure = await startGateway(t, { env: { PUBLIC_URL: 'https://www.jinmini.com' } })
  for (const path of ['/', '/nowhere']) {
    const reply = await request(`${secure.url}${path}`)
    t.is(reply.headers['strict-transport-security'], 'max-age=31536000')
  }
  const plain = await startGateway(t)
  t.is((await request(plain.url)).headers['strict-transport-security'], undefined)
})

test("a house's reply is its own: nothing is added and nothing replaced", async (t) => {
  const house = await httpUpstream(t, (_, response) => {
    response.writeHead(404, { 'X-Frame-Options': 'SAMEORIGIN', Date: 'today' }).end('no such thing')
  })
  const { url } = await startGatewayFor(t, house.origin, {}, { PUBLIC_URL: 'https://www.jinmini.com' })
  const reply = await request(`${url}/api/house`)
  t.deepEqual(Object.keys(reply.headers).sort(), [
    'connection',
    'date',
    'transfer-encoding',
    'x-frame-options',
    'x-request-id',
  ])
  t.is(reply.headers['x-frame-options'], 'SAMEORIGIN')
})
