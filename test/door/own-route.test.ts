import test from 'ava'
import { createOwnRoute } from '../../src/door/own-route.ts'

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
