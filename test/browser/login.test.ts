import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Page } from 'playwright-core'
import { startDemoProvider } from '../../scripts/demo-provider.ts'
import { withDemoProvider } from '../../scripts/demo-settings.ts'
import { useBrowser } from '../support/browser.ts'
import { freshEmbedded } from '../support/database.ts'
import { cookieClient, logInAtDemoProvider } from '../support/demo-login.ts'
import { startGateway } from '../support/gateway.ts'
import { freePorts } from '../support/ports.ts'
import { startProcess } from '../support/processes.ts'
import { execute, tryOut } from '../support/swagger-ui.ts'
import { shared } from '../support/token-server.ts'
import { until } from '../support/until.ts'

const openPage = useBrowser(test)

// One for all tests that need it: each takes half a gigabyte. Those with one of their own go first, one by one.
const started = shared(npmStart)

for (const [screen, viewport] of [
  ['a desktop', { width: 1280, height: 900 }],
  ['a phone', { width: 390, height: 844 }],
] as const) {
  test(`on ${screen}, npm start alone leads from /login to tokens on the console, and to the connection in Swagger UI`, async (t) => {
    const { url, demo, gateway } = await started()
    const colorScheme = screen === 'a phone' ? 'dark' : 'light'
    const { page, faults } = await openPage(t)([url, demo], { viewport, colorScheme })
    const said = consoleOf(page)

    await page.goto(url)
    await page.getByRole('link', { name: 'Log in' }).click()
    await neverSideways(t, page)
    await page.getByRole('link', { name: 'Continue with Demo provider' }).click()
    await page.getByRole('textbox', { name: 'Name' }).fill('Ann')
    t.is(new URL(page.url()).origin, demo)
    await neverSideways(t, page)
    await page.getByRole('button', { name: 'Log in and allow' }).click()

    await page.getByRole('heading', { name: 'Welcome, Ann.' }).waitFor()
    await neverSideways(t, page)
    t.is(page.url(), `${url}/login`, 'nothing of the code is left in the address')
    t.is(await page.evaluate('localStorage.length + sessionStorage.length'), 0)
    const tokens = tokensIn(said)
    const [connection, subject] = [await shownAs(page, 'Connection'), await shownAs(page, 'Subject')]
    for (const token of Object.values(tokens)) {
      t.false((await page.content()).includes(token), 'tokens are not in the page')
      t.false(gateway.output().includes(token), 'nor in the log')
    }

    await page.getByRole('link', { name: 'Open the API docs' }).click()
    await authorize(page, tokens.accessToken)
    const reply = await execute(await tryOut(page, '/oauth', 'get'))
    t.is(reply.status, '200')
    const { connections } = reply.body as { connections: unknown[] }
    t.is(connections.length, 1)
    t.like(connections[0], { id: connection, provider: 'demo', token_type: 'Bearer' })
    t.truthy(subject)
    t.deepEqual(faults, [])
  })
}

test('a login that was cancelled says so, and can be tried again', async (t) => {
  const { url, demo } = await started()
  const { page, faults } = await openPage(t)([url, demo])
  await page.goto(`${url}/login`)
  await page.getByRole('link', { name: 'Continue with Demo provider' }).click()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('link', { name: 'Try again' }).click()
  await page.getByRole('button', { name: 'Log in and allow' }).click()
  await page.getByRole('heading', { name: 'Welcome, demo.' }).waitFor()
  t.deepEqual(
    faults.filter((fault) => !fault.includes('status of 400')),
    [],
  )
})

test('a login whose state nobody knows any more can be begun anew from the page that says so', async (t) => {
  const { url, demo } = await started()
  const { page } = await openPage(t)([url, demo])
  await page.goto(`${url}/login`)
  await page.getByRole('link', { name: 'Continue with Demo provider' }).click()
  await page.getByRole('textbox', { name: 'Name' }).waitFor()
  await page.context().clearCookies({ name: 'munjigi-login' })
  await page.getByRole('button', { name: 'Log in and allow' }).click()
  await page.getByRole('link', { name: 'Try again' }).click()
  await page.getByRole('button', { name: 'Log in and allow' }).click()
  await page.getByRole('heading', { name: 'Welcome, demo.' }).waitFor()
  t.is(page.url(), `${url}/login`)
})

test('a login that was begun by its bare address ends here too, and nobody else’s does', async (t) => {
  const { url, demo } = await started()
  const { page } = await openPage(t)([url, demo])
  await page.goto(`${url}/oauth/demo/login`)
  await page.getByRole('textbox', { name: 'Name' }).fill('Bea')
  await page.getByRole('button', { name: 'Log in and allow' }).click()
  await page.getByRole('heading', { name: 'Welcome, Bea.' }).waitFor()

  // What somebody else got by a login of his own, sent to this browser.
  const client = cookieClient()
  const begun = await client.fetch(`${url}/oauth/demo/login`)
  const back = await logInAtDemoProvider(begun.headers.get('location')!, { name: 'Eve' }, client)
  const his = (await client.fetch(back)).headers.get('location')!
  t.true(his.startsWith(`${url}/login?code=`))
  await page.goto(his)
  await page.getByRole('alert').getByText('used up, or was left for over a minute').waitFor()
})

test('a code that somebody else came by is not exchanged', async (t) => {
  const { url, demo } = await started()
  const { page, faults } = await openPage(t)([url, demo])
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await page.goto(`${url}/login?code=somebody-elses&state=his`)
  await page.getByRole('alert').getByText('not begun in this window').waitFor()
  t.is(page.url(), `${url}/login`)
  t.deepEqual(
    asked.filter((one) => one.includes('complete')),
    [],
  )
  t.deepEqual(faults, [])
})

test('opened under another name than the public one, the page leads to the public one', async (t) => {
  const { url } = await started()
  const elsewhere = url.replace('localhost', '127.0.0.1')
  const { page, faults } = await openPage(t)([url, elsewhere])
  await page.goto(`${elsewhere}/login`)
  await page.getByRole('heading', { name: 'Come in by the front door.' }).waitFor()
  t.false(await page.getByRole('link', { name: 'Continue with' }).isVisible())
  await page.getByRole('link', { name: `Log in at ${url}` }).click()
  await page.getByRole('link', { name: 'Continue with Demo provider' }).waitFor()
  t.is(page.url(), `${url}/login`)
  t.deepEqual(faults, [])
})

test.serial('under a route prefix all of it works the same', async (t) => {
  const { url, demo } = await startBoth(t, { ROUTE_PREFIX: '/e', NODE_ENV: 'development' })
  const { page, faults } = await openPage(t)([url, demo])
  const said = consoleOf(page)
  await page.goto(`${url}/e/`)
  await page.getByRole('link', { name: 'Log in' }).click()
  await page.getByRole('link', { name: 'Continue with Demo provider' }).click()
  await page.getByRole('button', { name: 'Log in and allow' }).click()
  await page.getByRole('heading', { name: 'Welcome, demo.' }).waitFor()
  t.is(page.url(), `${url}/e/login`)
  t.truthy(tokensIn(said).refreshToken)
  t.deepEqual(faults, [])
})

test.serial('in production nothing is printed on the console', async (t) => {
  const { url, demo } = await startBoth(t, {
    NODE_ENV: 'production',
    ENCRYPTION_KEYS: `test:${randomBytes(32).toString('base64')}`,
    GATEWAY_CLIENTS: 'auth:a-secret-of-its-own-that-is-long-enough',
  })
  const { page, faults } = await openPage(t)([url, demo])
  const said = consoleOf(page)
  await page.goto(`${url}/login`)
  t.is(await page.getByRole('button', { name: 'Dummy login' }).count(), 0)
  await page.getByRole('link', { name: 'Continue with Demo provider' }).click()
  await page.getByRole('button', { name: 'Log in and allow' }).click()
  await page.getByRole('heading', { name: 'Welcome, demo.' }).waitFor()
  t.deepEqual(said, [])
  t.deepEqual(faults, [])
})

test('the dummy login needs no provider at all', async (t) => {
  const { url } = await started()
  const { page, faults } = await openPage(t)(url)
  const said = consoleOf(page)
  await page.goto(`${url}/login`)
  await page.getByRole('button', { name: 'Dummy login' }).click()
  await page.getByRole('heading', { name: 'Welcome, test-user.' }).waitFor()
  const { accessToken } = tokensIn(said)
  const reply = await fetch(`${url}/oauth`, { headers: { Authorization: `Bearer ${accessToken}` } })
  t.is(reply.status, 200)
  t.deepEqual(faults, [])
})

/** What `npm start` runs, with a database of its own: and nothing else is set up. */
async function npmStart(t: Pick<ExecutionContext, 'teardown'>) {
  const [port, authPort, demoPort] = await freePorts(3)
  const gateway = startProcess(t, 'scripts/start.ts', {
    // Its public name is still localhost.
    HOST: '127.0.0.1',
    PORT: String(port),
    AUTH_PORT: String(authPort),
    DEMO_PROVIDER_PORT: String(demoPort),
    DATABASE_URL: '',
    DATA_DIR: dirname((await freshEmbedded(t)).dataDir),
  })
  const [, demo = ''] = await gateway.printed(/^demo provider on (http:\/\/localhost:\d+)$/m)
  await gateway.printed(/munjigi listens on/)
  const url = `http://localhost:${port}`
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'the gateway is ready')
  return { url, demo, gateway }
}

/** The gateway and a demo provider, put together by hand. */
async function startBoth(t: ExecutionContext, env: Readonly<Record<string, string>>) {
  const [port] = await freePorts(1)
  const url = `http://localhost:${port}`
  const demo = await startDemoProvider({
    ...{ port: 0, host: 'localhost' },
    redirectUris: [`${url}${env.ROUTE_PREFIX ?? ''}/oauth/demo/callback`],
  })
  t.teardown(demo.stop)
  const { dataDir } = await freshEmbedded(t)
  const settings = {
    PUBLIC_URL: url,
    PORT: String(port),
    DATABASE_URL: '',
    DATA_DIR: dirname(dataDir),
    ...env,
  }
  await startGateway(t, { env: withDemoProvider(settings, demo.issuer) as Record<string, string> })
  return { url, demo: demo.issuer }
}

function consoleOf(page: Page): string[] {
  const said: string[] = []
  page.on('console', (message) => said.push(message.text()))
  return said
}

function tokensIn(said: readonly string[]) {
  const find = (name: string) => {
    const line = said.find((one) => one.startsWith(`${name}: `))
    if (line === undefined) throw new Error(`no ${name} on the console: ${said.length} lines`)
    return line.slice(name.length + 2)
  }
  return { accessToken: find('access_token'), refreshToken: find('refresh_token') }
}

const shownAs = (page: Page, term: string) =>
  page
    .locator('dl > div', { has: page.locator('dt', { hasText: term }) })
    .locator('dd')
    .innerText()

async function neverSideways(t: ExecutionContext, page: Page): Promise<void> {
  t.true(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), page.url())
}

/** Hands Swagger UI a token, as a person would. */
async function authorize(page: Page, token: string): Promise<void> {
  await page.getByRole('button', { name: 'Authorize', exact: true }).click()
  const dialog = page.locator('.dialog-ux')
  const form = dialog.locator('form', { has: page.getByRole('heading', { name: /^bearer/ }) })
  await form.getByRole('textbox').fill(token)
  await form.getByRole('button', { name: 'Apply credentials' }).click()
  await form.getByRole('button', { name: 'Close' }).click()
}
