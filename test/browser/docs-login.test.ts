import test, { type ExecutionContext } from 'ava'
import type { BrowserContext, Page } from 'playwright-core'
import { startDemoProvider } from '../../scripts/demo-provider.ts'
import { withDemoProvider } from '../../scripts/demo-settings.ts'
import { startAuthNeighbourhood } from '../support/auth-neighbourhood.ts'
import { useBrowser } from '../support/browser.ts'
import { freePorts } from '../support/ports.ts'
import { execute, tryOut } from '../support/swagger-ui.ts'
import { shared } from '../support/token-server.ts'

const openPage = useBrowser(test)
const started = shared(startAll)

for (const [screen, width, colorScheme] of [
  ['a phone', 390, 'dark'],
  ['a tablet', 820, 'light'],
  ['a desktop', 1280, 'dark'],
] as const) {
  test(`on ${screen}, who logs in under Authorize tries out what is guarded, in every document, until logging out`, async (t) => {
    const { url, demo } = await started()
    const viewport = { width, height: 900 }
    const { page, faults } = await openPage(t)([url, demo], { viewport, colorScheme })
    await page.goto(`${url}/docs`)
    t.is((await execute(await tryOut(page, '/api/user/me'))).status, '401')
    // The browser itself says so on its console.
    const expected = faults.length

    const dialog = await openDialog(page)
    await neverSideways(t, page)
    const login = dialog.locator('.auth-container', { hasText: 'oauth2' })
    t.false(await login.getByLabel('client_secret').isVisible())
    const window = await openedBy(page.context(), () =>
      login.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click(),
    )
    await window.getByRole('link', { name: 'Continue with Demo provider' }).click()
    await window.getByRole('textbox', { name: 'Name' }).fill('Ann')
    const closed = window.waitForEvent('close')
    await window.getByRole('button', { name: 'Log in and allow' }).click()
    await closed
    await login.getByRole('button', { name: 'Remove authorization' }).waitFor()
    await login.getByRole('button', { name: 'Close' }).click()

    const me = page.locator('.opblock', { has: page.locator('[data-path="/api/user/me"]') })
    t.like(await execute(me), { status: '200', body: { scope: 'profile' } })
    await page.getByLabel('Select a definition').selectOption('auth')
    await page.locator('.title', { hasText: 'auth' }).waitFor()
    t.like(await execute(await tryOut(page, '/api/user/me')), { status: '200', body: { scope: 'profile' } })
    await neverSideways(t, page)

    t.is(page.url(), `${url}/docs?urls.primaryName=auth#/accounts/getMe`)
    t.is(await page.evaluate('localStorage.length + sessionStorage.length'), 0)
    const again = (await openDialog(page)).locator('.auth-container', { hasText: 'oauth2' })
    await again.getByRole('button', { name: 'Remove authorization' }).click()
    await again.getByRole('button', { name: 'Close' }).click()
    t.is((await execute(me)).status, '401')
    t.deepEqual(
      faults.filter((fault) => !fault.includes('status of 401')),
      [],
    )
    t.is(faults.length, expected + 1)
  })
}

test('who thinks better of it is told so in the dialog', async (t) => {
  const { url, demo } = await started()
  const { page, faults } = await openPage(t)([url, demo])
  await page.goto(`${url}/docs`)
  const login = (await openDialog(page)).locator('.auth-container', { hasText: 'oauth2' })
  const authorize = login.getByRole('button', { name: 'Apply given OAuth2 credentials' })

  const first = await openedBy(page.context(), () => authorize.click())
  await first.getByRole('link', { name: 'Cancel' }).click()
  await login.getByText('The login was cancelled.').waitFor()
  t.true(await authorize.isVisible())
  const second = await openedBy(page.context(), () => authorize.click())
  await second.getByRole('link', { name: 'Continue with Demo provider' }).click()
  await second.getByRole('button', { name: 'Cancel' }).click()
  await login.getByText('Demo provider did not allow it').waitFor()
  t.deepEqual(faults, [])
})

test('a code that nobody in this browser asked for goes nowhere, and leaves the address', async (t) => {
  const { url } = await started()
  const { page, faults } = await openPage(t)(url)
  const asked: string[] = []
  page.context().on('request', (request) => asked.push(request.url()))
  await page.goto(`${url}/docs`)
  await page.locator('[data-path="/api/user/me"]').waitFor()
  const stray = await page.context().newPage()
  await stray.goto(`${url}/docs/oauth2-redirect.html?code=somebody-elses&state=his`)
  await stray.getByText('this window can be closed').waitFor()
  t.is(stray.url(), `${url}/docs/oauth2-redirect.html`)
  // By then a message of its own has gone the same way.
  await page.evaluate(
    `new Promise((resolve) => { const channel = new BroadcastChannel('munjigi.docs');` +
      `channel.onmessage = resolve; new BroadcastChannel('munjigi.docs').postMessage('the last') })`,
  )
  t.deepEqual(
    asked.filter((one) => one.includes('/oauth/')),
    [],
  )
  t.deepEqual(faults, [])
})

test('opened under another name than the public one, the page says where one can log in', async (t) => {
  const { url } = await started()
  const elsewhere = url.replace('localhost', '127.0.0.1')
  const { page, faults } = await openPage(t)([url, elsewhere])
  await page.goto(`${elsewhere}/docs`)
  await page.getByText(`This gateway's public address is ${url}`).waitFor()
  await page.getByRole('link', { name: 'open the docs there' }).click()
  await page.locator('[data-path="/api/user/me"]').waitFor()
  t.is(page.url(), `${url}/docs`)
  t.false(await page.getByText('public address is').isVisible())
  t.deepEqual(faults, [])
})

async function openDialog(page: Page) {
  await page.getByRole('button', { name: 'Authorize', exact: true }).click()
  const dialog = page.locator('.dialog-ux')
  await dialog.getByRole('heading', { name: /^oauth2/ }).waitFor()
  return dialog
}

async function openedBy(context: BrowserContext, act: () => Promise<void>): Promise<Page> {
  const [opened] = await Promise.all([context.waitForEvent('page'), act()])
  await opened.waitForLoadState()
  return opened
}

async function neverSideways(t: ExecutionContext, page: Page): Promise<void> {
  t.true(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), page.url())
}

/** The gateway with a database, the auth house behind it and the demo provider: as `npm start` runs them. */
async function startAll(t: ExecutionContext) {
  const [port] = await freePorts(1)
  const url = `http://localhost:${port}`
  const demo = await startDemoProvider({
    ...{ port: 0, host: 'localhost', redirectUris: [`${url}/oauth/demo/callback`] },
  })
  t.teardown(demo.stop)
  const settings = { PUBLIC_URL: url, PORT: String(port), NODE_ENV: 'development' }
  await startAuthNeighbourhood(t, { env: withDemoProvider(settings, demo.issuer) as Record<string, string> })
  return { url, demo: demo.issuer }
}
