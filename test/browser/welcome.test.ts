import test, { type ExecutionContext } from 'ava'
import { useBrowser } from '../support/browser.ts'
import { startGateway } from '../support/gateway.ts'

const openPage = useBrowser(test)

async function gatewayWithHouses(t: ExecutionContext) {
  const auth = {
    urls: ['http://127.0.0.1:1'],
    path: ['/api/users', '/api/user'],
    strip: '/api',
    auth: 'none',
  }
  const orders = {
    urls: ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
    path: ['/api/orders-of-a-very-long-name'],
  }
  return startGateway(t, { file: { services: { auth, orders } } })
}

test('the welcome page leads to the API docs', async (t) => {
  const { url } = await gatewayWithHouses(t)
  const { page, faults } = await openPage(t)(url)

  await page.goto(url)
  await page.getByRole('link', { name: 'Open the API docs' }).click()
  await page.getByRole('heading', { name: /^munjigi/ }).waitFor()

  t.is(page.url(), `${url}/docs`)
  t.deepEqual(faults, [])
})

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [320, 390, 1280]) {
    test(`the welcome page shows every service ${width} px wide, ${colorScheme}, and never scrolls sideways`, async (t) => {
      const { url } = await gatewayWithHouses(t)
      const { page, faults } = await openPage(t)(url, { colorScheme, viewport: { width, height: 800 } })

      await page.goto(url)

      const headings = await page.getByRole('heading', { level: 3 }).allTextContents()
      t.deepEqual(headings, ['auth 1 instance', 'orders 2 instances'])
      t.true(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'))
      t.deepEqual(faults, [])
    })
  }
}
