import test from 'ava'
import { createOwnPaths } from '../../src/door/own-paths.ts'
import { startGateway } from '../support/gateway.ts'
import { httpUpstream } from '../support/upstream.ts'

const fixed = ['/livez', '/readyz', '/metrics', '/.well-known/jwks.json']
const prefixed = ['/docs', '/docs/', '/openapi.json', '/tokens/create', '/oauth', '/oauth/google/login']

test('without a prefix the gateway answers / and its own endpoints', (t) => {
  const { includes } = createOwnPaths('')
  for (const path of ['/', ...fixed, ...prefixed]) t.true(includes(path), path)
  for (const path of ['/api', '/api/docs', '/docs2', '/docsx/docs', '/Docs', '/livez2', '/openapi.jsonx']) {
    t.false(includes(path), path)
  }
})

test('with a prefix only that and what others look for at fixed places is the gateway’s', (t) => {
  const { includes } = createOwnPaths('/e')
  for (const path of ['/e', '/e/', '/e/docs', '/e/anything', ...fixed]) t.true(includes(path), path)
  for (const path of ['/', '/docs', '/tokens/create', '/e2', '/ee/docs', '/api/e'])
    t.false(includes(path), path)
})

test('a prefix of several segments counts as a whole', (t) => {
  const { includes } = createOwnPaths('/gate/way')
  t.true(includes('/gate/way/docs'))
  t.false(includes('/gate'))
  t.false(includes('/gate/ways'))
})

test('a service may take / and nothing of the gateway’s own', (t) => {
  const { reserves } = createOwnPaths('')
  t.false(reserves('/'))
  t.false(reserves('/api/users'))
  for (const path of [...fixed, ...prefixed]) t.true(reserves(path), path)
})

for (const routePrefix of ['', '/e']) {
  const own = ['/livez', '/readyz', `${routePrefix}/docs`, `${routePrefix}/openapi.json`]
  test(`no service can claim the gateway's own endpoints ${routePrefix && 'under a prefix'}`, async (t) => {
    const house = await httpUpstream(t, (_request, response) => response.end('house'))
    const { url, lines } = await startGateway(t, {
      file: { services: { thief: { urls: [house.origin], path: own, auth: 'none', openapi: false } } },
      env: { ROUTE_PREFIX: routePrefix },
    })
    for (const path of own) {
      t.not(await (await fetch(url + path)).text(), 'house', path)
      t.true(
        lines.some(({ message }) => message.includes(`thief claims ${path}, which is the gateway's own`)),
      )
    }
  })

  test(`a service that takes / does not hide them ${routePrefix && 'under a prefix'}`, async (t) => {
    const house = await httpUpstream(t, (_request, response) => response.end('house'))
    const { url } = await startGateway(t, {
      file: { services: { all: { urls: [house.origin], path: '/', auth: 'none', openapi: false } } },
      env: { ROUTE_PREFIX: routePrefix },
    })
    for (const path of [
      ...own,
      `${routePrefix}/docs/`,
      `${routePrefix}/tokens/create`,
      '/.well-known/nothing',
    ]) {
      t.not(await (await fetch(url + path)).text(), 'house', path)
    }
    t.is(await (await fetch(`${url}/anything`)).text(), 'house')
  })
}

test('with a prefix the paths it frees may be taken by services', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('house'))
  const { url } = await startGateway(t, {
    file: {
      services: { site: { urls: [house.origin], path: ['/', '/docs'], auth: 'none', openapi: false } },
    },
    env: { ROUTE_PREFIX: '/e' },
  })
  t.is(await (await fetch(`${url}/`)).text(), 'house')
  t.is(await (await fetch(`${url}/docs`)).text(), 'house')
  t.is((await fetch(`${url}/e/`)).status, 200)
  t.is((await fetch(`${url}/e`)).status, 200)
})
