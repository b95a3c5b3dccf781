import test, { type ExecutionContext } from 'ava'
import { createLog } from '../../src/observability/log.ts'
import { startAuthNeighbourhood } from '../support/auth-neighbourhood.ts'
import { useBrowser } from '../support/browser.ts'
import { execute, tryOut } from '../support/swagger-ui.ts'

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
  const printed: string[] = []
  const { url } = await startAuthNeighbourhood(t, {
    log: createLog({ level: 'info', format: 'people', write: (line) => void printed.push(line) }),
  })
  return { url, printed }
}
