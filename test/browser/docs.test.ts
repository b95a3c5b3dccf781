import test from 'ava'
import { startAuthService } from '../../services/auth/server.ts'
import { useBrowser } from '../support/browser.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'

const openPage = useBrowser(test)

for (const routePrefix of ['', '/e']) {
  const where = routePrefix === '' ? 'at the root' : 'under a route prefix'

  test(`/docs ${where} shows the gateway and the auth service, and tries GET /api/users out`, async (t) => {
    const house = await startAuthService({
      env: { AUTH_PORT: '0', AUTH_HOST: '127.0.0.1', DATABASE_URL: 'none' },
      log: { line: () => {} },
    })
    t.teardown(house.stop)
    const auth = { urls: [house.url], path: ['/api/users', '/api/user'], strip: '/api', auth: 'none' }
    const { url } = await startGateway(t, {
      file: { services: { auth } },
      env: routePrefix === '' ? {} : { ROUTE_PREFIX: routePrefix },
    })
    await until(
      async () => (await (await fetch(`${url}${routePrefix}/openapi.json`)).text()).includes('/api/users'),
      'the document of the auth service is merged',
    )
    const { page, faults } = await openPage(t)(url)

    await page.goto(`${url}${routePrefix}/docs`)
    for (const path of [
      `${routePrefix}/docs`,
      `${routePrefix}/openapi.json`,
      '/livez',
      '/readyz',
      '/api/users',
    ]) {
      await page.locator(`.opblock [data-path="${path}"]`).waitFor()
    }
    const operation = page.locator('.opblock', { has: page.locator('[data-path="/api/users"]') })
    await operation.locator('.opblock-summary-control').click()
    await operation.getByRole('button', { name: 'Try it out' }).click()
    await operation.getByRole('button', { name: 'Execute' }).click()
    const reply = operation.locator('.live-responses-table tbody .microlight').first()
    await reply.getByText('"Welcome from AUTH service"').waitFor()

    t.deepEqual(faults, [])
  })
}

test('one service is chosen, or named in the address', async (t) => {
  const services = Object.fromEntries(
    await Promise.all(
      ['flour', 'sugar'].map(async (name) => {
        const document = {
          openapi: '3.1.0',
          info: { title: `The ${name}`, version: '1' },
          paths: { [`/api/${name}/sacks`]: { get: { responses: { 200: { description: 'Sacks' } } } } },
        }
        const { origin } = await httpUpstream(t, (_request, response) => {
          response.setHeader('content-type', 'application/json')
          response.end(JSON.stringify(document))
        })
        return [name, { urls: [origin], path: `/api/${name}`, auth: 'none' }] as const
      }),
    ),
  )
  const { url } = await startGateway(t, { file: { services } })
  await until(async () => {
    const merged = await (await fetch(`${url}/openapi.json`)).text()
    return merged.includes('/api/flour/sacks') && merged.includes('/api/sugar/sacks')
  }, 'both documents are merged')
  const { page, faults } = await openPage(t)(url)
  const [flour, sugar] = ['flour', 'sugar'].map((name) => page.locator(`[data-path="/api/${name}/sacks"]`))

  await page.goto(`${url}/docs`)
  await Promise.all([flour!.waitFor(), sugar!.waitFor()])
  const choice = page.getByLabel('Select a definition')
  t.deepEqual(await choice.locator('option').allInnerTexts(), [
    'All services',
    'The gateway',
    'flour',
    'sugar',
  ])
  await choice.selectOption('sugar')
  await flour!.waitFor({ state: 'detached' })
  await sugar!.waitFor()
  t.is(page.url(), `${url}/docs?urls.primaryName=sugar`)
  await choice.selectOption('The gateway')
  await sugar!.waitFor({ state: 'detached' })
  await page.locator('[data-path="/readyz"]').waitFor()

  await page.goto(`${url}/docs?urls.primaryName=flour`)
  await flour!.waitFor()
  t.is(await sugar!.count(), 0)
  t.deepEqual(faults, [])
})
