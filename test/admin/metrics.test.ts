import test from 'ava'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { codeOf, request } from '../support/request.ts'
import { scrape } from '../support/scrape.ts'

const house = 'http://127.0.0.1:9'
const token = 'an-admin-token-of-24-chars'
const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com', ADMIN_TOKEN: token }

test('a scrape is answered in Prometheus’ text format, and kept by nobody', async (t) => {
  const { url } = await startGatewayFor(t, house)
  const { status, headers, body } = await request(`${url}/metrics`)
  t.is(status, 200)
  t.is(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.is(headers['cache-control'], 'no-store')
  t.true(body.startsWith('# HELP '))
  t.true(body.endsWith('\n'))
})

test('HEAD has the head alone, and any other method is refused', async (t) => {
  const { url } = await startGatewayFor(t, house)
  const head = await request(`${url}/metrics`, { method: 'HEAD' })
  t.is(head.status, 200)
  t.is(head.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.is(head.body, '')
  const post = await request(`${url}/metrics`, { method: 'POST' })
  t.is(post.status, 405)
  t.is(codeOf(post), 'method_not_allowed')
  t.is(post.headers.allow, 'GET, HEAD')
  t.is((await request(`${url}/metrics/x`)).status, 404)
})

test('a stranger is asked for ADMIN_TOKEN', async (t) => {
  const { url } = await startGatewayFor(t, house, {}, { ADMIN_TOKEN: token })
  const stranger = { 'x-forwarded-for': '192.0.2.1' }
  for (const method of ['GET', 'POST']) {
    t.is((await request(`${url}/metrics`, { method, headers: stranger })).status, 401, method)
  }
  const headers = { ...stranger, authorization: `Bearer ${token}` }
  t.is((await request(`${url}/metrics`, { headers })).status, 200)
})

test('in production the metrics are on the admin port, and not on the public one', async (t) => {
  const { url, adminUrl = '' } = await startGatewayFor(t, house, {}, production)
  const headers = { authorization: `Bearer ${token}` }
  t.is((await request(`${url}/metrics`, { headers })).status, 404)
  t.is((await scrape(adminUrl)).value('munjigi_address_book_routes'), 1)
})

test('they are never under ROUTE_PREFIX', async (t) => {
  const { url } = await startGatewayFor(t, house, {}, { ROUTE_PREFIX: '/e' })
  t.is((await request(`${url}/e/metrics`)).status, 404)
  t.is((await scrape(url)).value('munjigi_address_book_routes'), 1)
})

for (const env of [{}, production, { ROUTE_PREFIX: '/e' }]) {
  test(`no service can take /metrics ${JSON.stringify(Object.keys(env))}`, async (t) => {
    const services = { own: { urls: [house], path: '/metrics', auth: 'none', openapi: false } }
    const { url, adminUrl = url } = await startGateway(t, { file: { services }, env })
    const { value } = await scrape(adminUrl)
    t.is(value('munjigi_address_book_routes'), 0)
    t.is(value('munjigi_address_book_problems'), 1)
  })
}
