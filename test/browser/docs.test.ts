import test from 'ava'
import { startAuthService } from '../../services/auth/server.ts'
import { useBrowser } from '../support/browser.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'

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
