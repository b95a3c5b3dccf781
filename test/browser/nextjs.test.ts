import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { Page } from 'playwright-core'
import { email } from '../support/auth-house.ts'
import { useBrowser } from '../support/browser.ts'
import { freshEmbedded } from '../support/database.ts'
import { exampleFolder, nextjsTest, startFrontEnd } from '../support/nextjs.ts'
import { freePorts } from '../support/ports.ts'
import { startProcess } from '../support/processes.ts'
import { shared } from '../support/token-server.ts'
import { until } from '../support/until.ts'

const openPage = useBrowser(test)

// One neighbourhood for all tests: the gateway and its house take half a gigabyte.
const started = shared(startAll)

for (const [screen, viewport] of [
  ['a desktop', { width: 1280, height: 900 }],
  ['a phone', { width: 390, height: 844 }],
] as const) {
  nextjsTest(
    `on ${screen}, a login by the demo provider leads to tokens and the services' replies`,
    async (t) => {
      const { front, gateway, demo } = await started()
      const colorScheme = screen === 'a phone' ? 'dark' : 'light'
      const { page, faults } = await openPage(t)([front.url, gateway, demo], { viewport, colorScheme })
      const said = consoleOf(page)

      await page.goto(front.url)
      await page.getByRole('heading', { name: 'Who is there?' }).waitFor()
      await neverSideways(t, page)
      t.is(await page.getByRole('link', { name: /^Log in with/ }).count(), 1, 'no others are configured')
      await logIn(page, demo)
      await neverSideways(t, page)
      t.is(page.url(), `${front.url}/`, 'nothing of the code is left in the address')
      t.deepEqual(await replyTo(page, 'GET /api/users'), { message: 'Welcome from AUTH service' })
      t.like(await replyTo(page, 'GET /api/user/me'), { scope: 'profile' })

      const { accessToken, refreshToken } = lastTokens(said)
      t.is(await page.evaluate('localStorage.length + sessionStorage.length + document.cookie.length'), 0)
      for (const token of [accessToken, refreshToken]) {
        t.false((await page.content()).includes(token), 'tokens are not in the page')
        t.false(front.output().includes(token), 'nor in the log')
      }
      t.deepEqual(faults, [])
    },
  )
}

nextjsTest('who has logged in still is after a reload, and in this browser only', async (t) => {
  const { front, gateway, demo } = await started()
  const { page, faults } = await openPage(t)([front.url, gateway, demo])
  await page.goto(front.url)
  await logIn(page, demo)
  const me = await replyTo(page, 'GET /api/user/me')
  await page.reload()
  await page.getByRole('heading', { name: 'You are in.' }).waitFor()
  t.deepEqual(await replyTo(page, 'GET /api/user/me'), me)

  const other = await openPage(t)([front.url, gateway])
  const said = consoleOf(other.page)
  await other.page.goto(front.url)
  await other.page.getByRole('heading', { name: 'Who is there?' }).waitFor()
  t.deepEqual(said, [])
  t.deepEqual([...faults, ...other.faults], [])
})

nextjsTest('an access token that has expired is renewed once, however many requests need it', async (t) => {
  const { front, gateway, demo } = await started()
  const { page, faults } = await openPage(t)([front.url, gateway, demo])
  const said = consoleOf(page)
  await page.clock.install()
  await page.goto(front.url)
  await logIn(page, demo)
  const before = lastTokens(said)
  const renewals: string[] = []
  page.on('request', (request) => {
    if (request.url() === `${front.url}/session`) renewals.push(request.method())
  })

  await page.clock.fastForward('16:00')
  await askAgain(page)
  const after = lastTokens(said)
  t.not(after.accessToken, before.accessToken)
  t.not(after.refreshToken, before.refreshToken)
  t.deepEqual(renewals, ['POST'])
  t.deepEqual(faults, [])
})

nextjsTest(
  'an access token that the gateway takes no more is renewed, and the request sent again',
  async (t) => {
    const { front, gateway, demo } = await started()
    const { page, faults } = await openPage(t)([front.url, gateway, demo])
    const said = consoleOf(page)
    await page.goto(front.url)
    await logIn(page, demo)
    const { accessToken } = lastTokens(said)
    await post(`${gateway}/tokens/revoke`, { token: accessToken })
    await askAgain(page)
    t.like(await replyTo(page, 'GET /api/user/me'), { scope: 'profile' })
    t.not(lastTokens(said).accessToken, accessToken)
    t.deepEqual(withoutStatus(faults, 401), [])
  },
)

nextjsTest('two tabs that renew at once do not end their session', async (t) => {
  const { front, gateway, demo } = await started()
  const { page, faults } = await openPage(t)([front.url, gateway, demo])
  await page.goto(front.url)
  await logIn(page, demo)
  const other = await page.context().newPage()
  await other.goto(front.url)
  const tabs = [page, other]
  for (const tab of tabs) await tab.getByRole('heading', { name: 'You are in.' }).waitFor()
  const heard = tabs.map(consoleOf)
  for (let round = 1; round <= 5; round += 1) {
    await Promise.all(tabs.map((tab) => tab.getByRole('button', { name: 'New access token' }).click()))
    await until(() => heard.every((said) => said.length === 2 * round), 'both have new tokens')
  }
  t.is(new Set(heard.flat()).size, 20, 'each time both got their own')
  for (const tab of tabs) await askAgain(tab)
  t.deepEqual(faults, [])
})

nextjsTest('logging out ends the session at the gateway, for every tab', async (t) => {
  const { front, gateway, demo } = await started()
  const { page, faults } = await openPage(t)([front.url, gateway, demo])
  const said = consoleOf(page)
  await page.goto(front.url)
  await logIn(page, demo)
  const { accessToken, refreshToken } = lastTokens(said)
  const other = await page.context().newPage()
  await other.goto(front.url)
  await other.getByRole('heading', { name: 'You are in.' }).waitFor()

  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Who is there?' }).waitFor()
  t.is(await sessionCookie(page), undefined)
  t.is((await post(`${gateway}/tokens/refresh`, { refresh_token: refreshToken })).status, 400)
  const headers = { Authorization: `Bearer ${accessToken}` }
  t.is((await fetch(`${gateway}/api/user/me`, { headers })).status, 401)

  await other.getByRole('button', { name: 'Ask again' }).click()
  await other.getByText('You have been logged out.').waitFor()
  await other.getByRole('heading', { name: 'Who is there?' }).waitFor()
  t.deepEqual(withoutStatus(faults, 401), [])
})

nextjsTest('signing up with e-mail and password logs in, and a wrong password does not', async (t) => {
  const { front, gateway } = await started()
  const { page, faults } = await openPage(t)([front.url, gateway])
  const address = email()
  await page.goto(front.url)
  await page.getByRole('textbox', { name: 'E-mail' }).fill(address)
  await page.getByRole('textbox', { name: 'Password' }).fill('correct horse battery staple')
  await page.getByRole('button', { name: 'Sign up' }).click()
  await page.getByRole('heading', { name: 'You are in.' }).waitFor()
  t.like(await replyTo(page, 'GET /api/user/me'), { email: address })

  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('textbox', { name: 'E-mail' }).fill(address)
  await page.getByRole('textbox', { name: 'Password' }).fill('a wrong one')
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await page.getByRole('alert').getByText('The e-mail or the password is wrong.').waitFor()
  t.deepEqual(withoutStatus(faults, 401), [])
})

nextjsTest('a code that comes without the state of this browser is not exchanged', async (t) => {
  const { front, gateway } = await started()
  const { page, faults } = await openPage(t)([front.url, gateway])
  await page.goto(`${front.url}/logged-in?code=somebody-elses&state=his`)
  await page.getByRole('alert').getByText('not begun in this browser').waitFor()
  await page.getByRole('heading', { name: 'Who is there?' }).waitFor()
  t.is(page.url(), `${front.url}/`)
  t.deepEqual(await page.context().cookies(front.url), [])
  t.deepEqual(faults, [])
})

nextjsTest('no page of another origin gets at the session', async (t) => {
  const { front, gateway, demo } = await started()
  const { page } = await openPage(t)([front.url, gateway, demo])
  await page.goto(front.url)
  await logIn(page, demo)
  const cookie = await sessionCookie(page)
  t.like(cookie, { httpOnly: true, sameSite: 'Strict' })
  for (const [path, method] of [
    ['/session', 'POST'],
    ['/session', 'DELETE'],
    ['/session/password', 'POST'],
  ] as const) {
    const headers = { Cookie: `${cookie!.name}=${cookie!.value}`, Origin: 'https://elsewhere.example' }
    const reply = await fetch(front.url + path, { method, headers })
    t.is(reply.status, 403, `${method} ${path}`)
    t.deepEqual(reply.headers.getSetCookie(), [])
  }
  await askAgain(page)
})

nextjsTest('where tokens are not to be shown, the refresh token never leaves the server', async (t) => {
  const { gateway, demo, quiet } = await started()
  const { page, faults } = await openPage(t)([quiet.url, gateway, demo])
  const said = consoleOf(page)
  await page.goto(quiet.url)
  await page.getByRole('heading', { name: 'Who is there?' }).waitFor()
  const replies: string[] = []
  page.on('response', async (response) => {
    if (response.url() === `${quiet.url}/session` && response.status() === 200)
      replies.push(await response.text())
  })
  await logIn(page, demo)
  await until(() => replies.length === 1, 'the session has been read')
  t.deepEqual(Object.keys(JSON.parse(replies[0]!)).sort(), [
    'access_token',
    'created_at',
    'expires_in',
    'scope',
    'token_type',
  ])
  t.deepEqual(said, [])
  await page.getByText('No token is shown here.').waitFor()
  t.deepEqual(faults, [])
})

nextjsTest('the types of its client are what the gateway’s document says now', async (t) => {
  const { gateway } = await started()
  const knowsHouse = async () =>
    (await (await fetch(`${gateway}/openapi.json`)).text()).includes('/api/user/me')
  await until(knowsHouse, 'the house’s document is in')
  const generator = join(exampleFolder, 'node_modules/openapi-typescript/bin/cli.js')
  const { stdout } = await promisify(execFile)(process.execPath, [generator, `${gateway}/openapi.json`])
  const committed = await readFile(join(exampleFolder, 'src/gateway-api.d.ts'), 'utf8')
  t.true(stdout.trim() === committed.trim(), 'npm start here, and npm run generate in examples/nextjs')
})

/** What README.md of the example says to run, on ports of their own; and a second front end that shows no tokens. */
async function startAll(t: Pick<ExecutionContext, 'teardown'>) {
  const [port, authPort, demoPort, frontPort = 0, quietPort = 0] = await freePorts(5)
  const origins = [`http://localhost:${frontPort}`, `http://localhost:${quietPort}`]
  const process = startProcess(t, 'scripts/start.ts', {
    // Its public name is still localhost.
    HOST: '127.0.0.1',
    PORT: String(port),
    AUTH_PORT: String(authPort),
    DEMO_PROVIDER_PORT: String(demoPort),
    DATABASE_URL: '',
    DATA_DIR: dirname((await freshEmbedded(t)).dataDir),
    CORS_ORIGINS: origins.join(','),
    LOGIN_RETURN_URLS: origins.map((origin) => `${origin}/logged-in`).join(','),
  })
  const [, demo = ''] = await process.printed(/^demo provider on (http:\/\/localhost:\d+)$/m)
  const gateway = `http://localhost:${port}`
  const [front, quiet] = await Promise.all([
    startFrontEnd(t, gateway, frontPort),
    startFrontEnd(t, gateway, quietPort, { SHOW_TOKENS: 'false' }),
    process.printed(/munjigi listens on/),
  ])
  await until(async () => (await fetch(`${gateway}/readyz`)).status === 200, 'the gateway is ready')
  return { gateway, demo, front, quiet }
}

async function logIn(page: Page, demo: string): Promise<void> {
  await page.getByRole('link', { name: 'Log in with the demo provider' }).click()
  await page.waitForURL((url) => url.origin === demo)
  await page.getByRole('button', { name: 'Log in and allow' }).click()
  await page.getByRole('heading', { name: 'You are in.' }).waitFor()
  await replyTo(page, 'GET /api/user/me')
}

/** Presses the button and waits for both replies. */
async function askAgain(page: Page): Promise<void> {
  const button = page.getByRole('button', { name: 'Ask again' })
  const replied = page.waitForResponse(
    (reply) => reply.url().endsWith('/api/user/me') && reply.request().method() === 'GET' && reply.ok(),
  )
  await button.click()
  await replied
  await until(() => button.isEnabled(), 'both replies are there')
}

/** Cookies know no ports: the gateway's and the demo provider's are on the same host here. */
async function sessionCookie(page: Page) {
  const cookies = await page.context().cookies()
  return cookies.find(({ name }) => name === 'front-end-session')
}

/** What the page shows of a reply, once it is 200. */
async function replyTo(page: Page, request: string): Promise<unknown> {
  const section = page.getByRole('region', { name: request })
  await section.getByText('200', { exact: true }).waitFor()
  return JSON.parse(await section.locator('pre').innerText())
}

function consoleOf(page: Page): string[] {
  const said: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'log') said.push(message.text())
  })
  return said
}

function lastTokens(said: readonly string[]) {
  const find = (name: string) => {
    const line = said.findLast((one) => one.startsWith(`${name}: `))
    if (line === undefined) throw new Error(`no ${name} on the console: ${said.length} lines`)
    return line.slice(name.length + 2)
  }
  return { accessToken: find('access_token'), refreshToken: find('refresh_token') }
}

function post(url: string, body: unknown): Promise<Response> {
  const headers = { 'Content-Type': 'application/json' }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
}

/** Browsers tell of every such reply on the console, whatever becomes of it. */
function withoutStatus(faults: readonly string[], status: number): readonly string[] {
  return faults.filter((fault) => !fault.includes(`status of ${status}`))
}

async function neverSideways(t: ExecutionContext, page: Page): Promise<void> {
  t.true(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), page.url())
}
