import { dirname } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { startAuthService } from '../../services/auth/server.ts'
import { createLog } from '../../src/observability/log.ts'
import { openEmbedded } from '../../src/persistence/embedded.ts'
import { useBrowser } from '../support/browser.ts'
import { freshEmbedded } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { execute, tryOut } from '../support/swagger-ui.ts'
import { until } from '../support/until.ts'

const openPage = useBrowser(test)

const typed = 'anything at all, typed by hand'

for (const [screen, viewport] of [
  ['a desktop', { width: 1280, height: 900 }],
  ['a phone', { width: 390, height: 844 }],
] as const) {
  test(`on ${screen}, a token that is made up in Swagger UI arrives on the console and opens a guarded route`, async (t) => {
    const { url, printed } = await startBoth(t)
    const { page, faults } = await openPage(t)(url, { viewport })
    await page.goto(`${url}/docs`)

    const dummy = await tryOut(page, '/tokens/dummy')
    await dummy.locator('textarea').fill(JSON.stringify({ access_token: typed }))
    t.like(await execute(dummy), { status: '200', body: { access_token: typed, token_type: 'Bearer' } })
    t.true(printed.includes(`dummy token: ${typed}\n`), printed.join(''))

    t.is((await fetch(`${url}/api/user/me`)).status, 401)
    await page.getByRole('button', { name: 'Authorize', exact: true }).click()
    const dialog = page.locator('.dialog-ux')
    await dialog.getByRole('heading', { name: /^bearer/ }).waitFor()
    t.is(await dialog.getByRole('heading', { level: 4 }).count(), 2, 'one for tokens, one for clients')
    const form = dialog.locator('form', { has: page.getByRole('heading', { name: /^bearer/ }) })
    await form.getByRole('textbox').fill(typed)
    await form.getByRole('button', { name: 'Apply credentials' }).click()
    await form.getByRole('button', { name: 'Close' }).click()

    const me = await tryOut(page, '/api/user/me')
    t.like(await execute(me), { status: '200', body: { id: 'test-user', scope: '' } })
    t.true(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'))
    t.is(await page.evaluate('localStorage.length'), 0, 'the token is gone with the page')
    t.deepEqual(faults, [])
  })
}

/** The gateway with a database, and the auth house behind it: both as `npm start` runs them. */
async function startBoth(t: ExecutionContext) {
  const { dataDir } = await freshEmbedded(t)
  const embedded = openEmbedded(dataDir)
  t.teardown(embedded.close)
  const database = { DATABASE_URL: '', DATA_DIR: dirname(dataDir) }
  const house = await startAuthService({
    env: { ...database, AUTH_PORT: '0', AUTH_HOST: '127.0.0.1' },
    log: { line: () => {} },
    embedded,
  })
  t.teardown(house.stop)
  const path = ['/api/users', '/api/user', '/api/user/me; auth=required']
  const auth = { urls: [house.url], path, strip: '/api', auth: 'none' }
  const printed: string[] = []
  const { url } = await startGateway(t, {
    file: { services: { auth } },
    env: { ...database, NODE_ENV: 'development' },
    embedded,
    log: createLog({ level: 'info', format: 'people', write: (line) => void printed.push(line) }),
  })
  await until(
    async () => (await (await fetch(`${url}/openapi.json`)).text()).includes('/api/user/me'),
    'the document of the auth service is merged',
  )
  return { url, printed }
}
