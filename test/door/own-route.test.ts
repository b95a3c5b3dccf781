import { dirname } from 'node:path'
import test from 'ava'
import { createOwnRoute } from '../../src/door/own-route.ts'
import { freshEmbedded } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { request } from '../support/request.ts'

test('an endpoint of the gateway has the name of its pattern', (t) => {
  const ownRoute = createOwnRoute('')
  t.deepEqual(
    [
      ...['/', '/docs/', '/docs/assets/5.1.0/swagger-ui.css', '/openapi/auth.json', '/tokens/create'],
      ...['/oauth/google/login', '/oauth/google/callback', '/oauth/login/complete', '/oauth/providers'],
      ...['/oauth/6f1c0f5e-0000', '/oauth/6f1c0f5e-0000/refresh', '/admin/routes', '/metrics'],
    ].map(ownRoute),
    [
      ...['/', '/docs', '/docs/assets/*', '/openapi/:service', '/tokens/create'],
      ...['/oauth/:provider/login', '/oauth/:provider/callback', '/oauth/login/complete', '/oauth/providers'],
      ...['/oauth/:id', '/oauth/:id/refresh', '/admin/*', '/metrics'],
    ],
  )
})

test('ROUTE_PREFIX is part of the name, of those that have it', (t) => {
  const ownRoute = createOwnRoute('/e')
  t.deepEqual(
    ['/e', '/e/', '/e/tokens/create', '/e/oauth/github/login', '/livez', '/tokens/create'].map(ownRoute),
    ['/e', '/e', '/e/tokens/create', '/e/oauth/:provider/login', '/livez', 'unmatched'],
  )
})

test('every other path has one name', (t) => {
  const ownRoute = createOwnRoute('')
  const paths = [
    '-',
    '/nowhere',
    '/tokens/x',
    '/tokens',
    '/oauth//login',
    '/docs/x',
    '/__proto__',
    '/livez/x',
  ]
  t.deepEqual([...new Set(paths.map(ownRoute))], ['unmatched'])
})

test('every endpoint of the API document has a name of its own, its parameters’ names aside', async (t) => {
  const { dataDir } = await freshEmbedded(t)
  const { url } = await startGateway(t, { env: { DATABASE_URL: '', DATA_DIR: dirname(dataDir) } })
  const { paths } = JSON.parse((await request(`${url}/openapi.json`)).body) as { paths: object }
  const listed = Object.keys(paths)
  t.true(listed.length > 15)
  const ownRoute = createOwnRoute('')
  // Where a segment stands for any other, it may not be taken for one that stands for itself.
  const named = listed.map((path) => ownRoute(path.replaceAll(/\{\w+\}/g, 'some-9')).replace('.json', ''))
  const plain = (path: string) => path.replaceAll(/\{\w+\}|:\w+/g, ':').replace('.json', '')
  t.deepEqual(named.map(plain), listed.map(plain))
})
