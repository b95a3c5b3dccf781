import test, { type ExecutionContext } from 'ava'
import { useBrowser } from '../support/browser.ts'
import { freshEmbedded } from '../support/database.ts'
import { startDialects } from '../support/dialects.ts'
import { publicUrl, startOAuthGateway } from '../support/oauth-gateway.ts'
import { shared } from '../support/token-server.ts'

const openPage = useBrowser(test)

const gateway = shared(async (t: ExecutionContext) => {
  const dialects = await startDialects(t)
  return startOAuthGateway(t, await freshEmbedded(t), dialects.env('google'))
})

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [320, 1280]) {
    test(`a login at another than the public address tells where to go, ${width} px wide, ${colorScheme}`, async (t) => {
      const { url } = await gateway()
      const { page, faults } = await openPage(t)(url, { colorScheme, viewport: { width, height: 700 } })

      const reply = await page.goto(`${url}/oauth/google/login`)

      t.is(reply?.status(), 400)
      await page.getByRole('heading', { name: 'That login did not work.' }).waitFor()
      const link = page.getByRole('link', { name: 'Try again' })
      t.is(await link.getAttribute('href'), `${publicUrl}/oauth/google/login`)
      t.is(await page.evaluate('document.documentElement.scrollWidth'), width)
      // That the page itself is a 400 is what a browser tells on its console.
      t.deepEqual(
        faults.filter((fault) => !fault.includes('status of 400')),
        [],
      )
    })
  }
}
