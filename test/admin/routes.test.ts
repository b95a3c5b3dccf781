import test from 'ava'
import type { RoutesView } from '../../src/admin/list-routes.ts'
import { startGateway } from '../support/gateway.ts'
import { publishedServices } from '../support/published-services.ts'
import { request } from '../support/request.ts'
import { until } from '../support/until.ts'

const routesOf = async (url: string) => JSON.parse((await request(`${url}/admin/routes`)).body) as RoutesView

test('every route is told, longest prefix first, with its defaults and its instances', async (t) => {
  const services = {
    users: { urls: ['http://127.0.0.1:9', 'http://127.0.0.1:8'], path: ['/a', '/a/b'], openapi: false },
    shop: {
      urls: 'http://127.0.0.1:7',
      auth: 'none',
      timeout: '3s',
      retries: 2,
      scope: 'buy',
      openapi: false,
    },
  }
  const { url } = await startGateway(t, { file: { services } })
  const { table, sources, problems, routes } = await routesOf(url)
  t.like(table, { routes: 3, services: 2 })
  t.deepEqual(problems, [])
  t.like(sources[0], { source: 'static', state: 'live' })
  t.true(Number(sources[0]?.ageMs) >= 0)
  t.deepEqual(
    routes.map(({ prefix, service }) => [prefix, service]),
    [
      ['/api/shop', 'shop'],
      ['/a/b', 'users'],
      ['/a', 'users'],
    ],
  )
  t.like(routes[0], {
    source: 'static',
    provenance: 'named',
    strip: '/api/shop',
    auth: 'none',
    scopes: ['buy'],
    timeoutMs: 3000,
    retries: 2,
    balance: 'p2c',
  })
  t.like(routes[1], { auth: 'required', strip: '', timeoutMs: 15_000, retries: 1 })
  t.deepEqual(
    routes[1]?.instances.map(({ address, usable, inFlight, ejections }) => [
      address,
      usable,
      inFlight,
      ejections,
    ]),
    [
      ['127.0.0.1:8', true, 0, 0],
      ['127.0.0.1:9', true, 0, 0],
    ],
  )
})

test('what the address book could not settle is told', async (t) => {
  const both = { path: '/docs/x', openapi: false }
  const { url } = await startGateway(t, {
    file: { services: { thief: { ...both, urls: 'http://127.0.0.1:9' } } },
  })
  const { problems } = await routesOf(url)
  t.is(problems.length, 1)
  t.regex(problems[0] ?? '', /thief claims \/docs\/x, which is the gateway's own/)
})

test('instances that the source names no more are told as held', async (t) => {
  const services = publishedServices(['http://127.0.0.1:9'])
  const { url } = await startGateway(t, { services })
  t.like((await routesOf(url)).routes[0], { source: 'test', provenance: 'named' })
  services.publish([])
  await until(async () => (await routesOf(url)).routes[0]?.provenance === 'held', 'it is told as held')
  t.is((await routesOf(url)).routes[0]?.instances.length, 1)
})

test('an instance without weight is told, and that it gets nothing', async (t) => {
  const urls = ['http://127.0.0.1:8; weight=0', 'http://127.0.0.1:9; weight=3']
  const { url } = await startGateway(t, { file: { services: { shop: { urls, openapi: false } } } })
  const { routes } = await routesOf(url)
  t.like(routes[0]?.instances, [
    { address: '127.0.0.1:8', usable: false, weight: 0, reason: 'its weight is 0' },
    { address: '127.0.0.1:9', usable: true, weight: 1 },
  ])
})

test('what a canary and a mirror are given is told with them', async (t) => {
  const services = {
    shop: { urls: 'http://127.0.0.1:7', 'mirror-to': 'shadow', 'mirror-percent': 5, openapi: false },
    next: { urls: 'http://127.0.0.1:8', 'canary-of': 'shop', 'canary-percent': 10, openapi: false },
    shadow: { urls: 'http://127.0.0.1:9', path: '/shadow', openapi: false },
  }
  const { url } = await startGateway(t, { file: { services } })
  const { routes } = await routesOf(url)
  const shop = routes.find(({ prefix }) => prefix === '/api/shop')
  t.like(shop?.canary, {
    percent: 10,
    service: 'next',
    instances: [{ address: '127.0.0.1:8', usable: true }],
  })
  t.deepEqual(shop?.mirror, { percent: 5, service: 'shadow', addresses: ['127.0.0.1:9'] })
})

test('the table is looked at once and written once: of a large one that takes a while', async (t) => {
  let written = 0
  const asked: string[] = []
  const { url } = await startGateway(t, {
    file: { services: { users: { urls: 'http://127.0.0.1:9', openapi: false } } },
    peers: (answers) => ({
      async gather(question) {
        asked.push(question)
        const view: object = await (answers[question]!() as never)
        const toJSON = () => {
          written += 1
          return { ...view }
        }
        return [{ ...view, toJSON }] as never
      },
    }),
  })
  const reply = await request(`${url}/admin/routes`)
  t.is(reply.headers['content-type'], 'application/json; charset=utf-8')
  t.is((JSON.parse(reply.body) as RoutesView).routes[0]?.service, 'users')
  t.deepEqual(asked, ['routes'])
  t.is(written, 1)
})
