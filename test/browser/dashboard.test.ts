import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { useBrowser } from '../support/browser.ts'
import { configFolder } from '../support/config.ts'
import { atMost } from '../support/figures.ts'
import { startGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { startProcess, type TestProcess } from '../support/processes.ts'
import { until } from '../support/until.ts'

const openPage = useBrowser(test)
const adminToken = 'an-admin-token-of-24-chars'

async function startHouse(
  t: ExecutionContext,
  given?: number,
): Promise<{ process: TestProcess; port: number }> {
  const port = given ?? (await freePort())
  const process = startProcess(t, 'test/support/plain-house.ts', { PORT: String(port) })
  await process.printed(/listens on/)
  return { process, port }
}

/** The gateway as a process of its own, in front of these. */
async function startProcessGateway(t: ExecutionContext, ports: readonly number[]): Promise<string> {
  const cwd = configFolder(t)
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  const house = { urls, auth: 'none', openapi: false, 'eject-time': '1s' }
  await writeFile(join(cwd, 'gateway.yaml'), JSON.stringify({ services: { house } }))
  const settings = { NODE_ENV: 'test', HOST: '127.0.0.1', PORT: '0', DRAIN_DELAY: '0s' }
  const gateway = startProcess(t, 'src/main.ts', settings, { cwd })
  const [, port] = await gateway.printed(/listens on http:\/\/[\w.]+:(\d+)/)
  return `http://127.0.0.1:${port}`
}

/** Requests as long as the test runs, so many at a time. */
function keepAsking(t: ExecutionContext, url: string): void {
  const agent = new http.Agent({ keepAlive: true })
  let going = true
  const ask = () => {
    if (!going) return
    const again = () => setTimeout(ask, 20)
    http.get(url, { agent }, (reply) => reply.resume().once('close', again)).once('error', again)
  }
  for (let i = 0; i < 4; i += 1) ask()
  t.teardown(() => {
    going = false
    agent.destroy()
  })
}

/** The page notes when an instance is shown in another state, so that nothing is lost on the way to the test. */
const noteStates = `
  window.shown = []
  const seen = new Map()
  const look = () => {
    for (const row of document.querySelectorAll('[data-instance]')) {
      const { instance, state } = row.dataset
      if (seen.get(instance) !== state) window.shown.push({ instance, state, at: Date.now() })
      seen.set(instance, state)
    }
  }
  new MutationObserver(look).observe(document.getElementById('lanes'), { subtree: true, childList: true, attributes: true })
  look()`

test('an instance that is killed is shown as gone within two seconds, and as back when it is', async (t) => {
  const houses = await Promise.all([startHouse(t), startHouse(t), startHouse(t)])
  const url = await startProcessGateway(
    t,
    houses.map(({ port }) => port),
  )
  keepAsking(t, `${url}/api/house/`)
  const { page, faults } = await openPage(t)(url)
  await page.goto(`${url}/dashboard`)
  const victim = houses[1]!
  const address = `127.0.0.1:${victim.port}`
  const row = page.locator(`[data-instance="${address}"]`)
  await page.locator('[data-instance][data-state="usable"]').nth(2).waitFor()
  await page.evaluate(noteStates)

  async function ejectedAt(): Promise<number | undefined> {
    const shown = (await page.evaluate('window.shown')) as { instance: string; state: string; at: number }[]
    return shown.find(({ instance, state }) => instance === address && state === 'ejected')?.at
  }

  const killedAt = Date.now()
  victim.process.kill('SIGKILL')
  await until(async () => (await ejectedAt()) !== undefined, 'it is shown as ejected')
  const tookMs = (await ejectedAt())! - killedAt
  t.log(`shown as gone ${tookMs} ms after it was killed`)
  t.true(tookMs <= atMost(2000), `${tookMs} ms`)
  t.regex(await page.locator('.happenings').innerText(), /is ejected/)

  await victim.process.exited
  await startHouse(t, victim.port)
  await row.and(page.locator('[data-state="usable"]')).waitFor()
  t.regex(await page.locator('.happenings').innerText(), /is back/)
  t.deepEqual(faults, [])
})

test('a gateway that goes away is said to be, and the page comes back by itself', async (t) => {
  const env = { PORT: String(await freePort()) }
  const first = await startGateway(t, { file: twoServices, env })
  const { page, faults } = await openPage(t)(first.url)
  await page.goto(`${first.url}/dashboard`)
  await page.locator('#connection[data-state="live"]').waitFor()
  await first.gateway.stop()
  await page.locator('#banner', { hasText: /^Disconnected since \d/ }).waitFor()
  t.is(await page.locator('[data-service]').count(), 2)
  const second = await startGateway(t, { file: twoServices, env })
  t.is(second.port, first.port)
  await page.locator('#connection[data-state="live"]').waitFor()
  t.false(await page.locator('#banner').isVisible())
  // A connection that is refused is an error on the console of every browser.
  t.deepEqual(
    faults.filter((fault) => !/ERR_CONNECTION_REFUSED|failed request to .*\/dashboard\/events/.test(fault)),
    [],
  )
})

const twoServices = {
  services: {
    auth: { urls: ['http://127.0.0.1:1'], path: ['/api/users', '/api/user'], auth: 'none', openapi: false },
    'orders-of-a-very-long-name-indeed': {
      urls: ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
      openapi: false,
    },
  },
}

test('a stranger is asked for a token, which opens it and is forgotten with the page', async (t) => {
  const { url, port } = await startGateway(t, { file: twoServices, env: { ADMIN_TOKEN: adminToken } })
  const { page, faults } = await openPage(t)(url, { extraHTTPHeaders: { 'X-Forwarded-For': '203.0.113.7' } })
  await page.goto(`${url}/dashboard`)
  const field = page.getByLabel(/ADMIN_TOKEN/)
  await field.waitFor()
  t.false(await page.locator('#content').isVisible())
  await field.fill('not-the-token')
  await field.press('Enter')
  await page.locator('#sign-in-reason', { hasText: 'That token does not open it' }).waitFor()
  t.is(await field.inputValue(), '')
  await field.fill(adminToken)
  await page.getByRole('button', { name: 'Open the dashboard' }).click()
  await page.locator('[data-service="auth"]').waitFor()
  t.is(
    await page.evaluate('JSON.stringify([localStorage.length, sessionStorage.length, document.cookie])'),
    '[0,0,""]',
  )
  t.false((await page.content()).includes(adminToken))
  await page.getByRole('button', { name: 'Forget the token' }).click()
  await field.waitFor()
  t.false(await page.locator('#content').isVisible())
  // The refusals that were asked for.
  const refusal = 'console: Failed to load resource: the server responded with a status of 401 (Unauthorized)'
  t.deepEqual(
    faults.filter(
      (fault) => fault !== refusal && fault !== `failed request to http://127.0.0.1:${port}/dashboard/events`,
    ),
    [],
  )
})

test('services are found by name, route and address, and 300 of them are usable', async (t) => {
  const services = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [
      `service-${String(i).padStart(3, '0')}`,
      {
        urls: [1, 2, 3].map((part) => `http://127.${part}.0.1:${i + 1}`),
        path: `/api/part-${i}`,
        auth: 'none',
        openapi: false,
      },
    ]),
  )
  const { url } = await startGateway(t, { file: { services } })
  const { page, faults } = await openPage(t)(url, { viewport: { width: 1280, height: 800 } })
  await page.goto(`${url}/dashboard`)
  await page.locator('[data-service="service-000"] .chart').first().waitFor()
  t.is(await page.locator('[data-service]').count(), 300)
  const charts = await page.locator('#lanes .chart').count()
  t.true(charts > 0 && charts < 80, `${charts} charts are drawn`)
  const search = page.getByRole('searchbox')
  for (const [text, count] of [
    ['service-123', 1],
    ['/api/part-29', 11],
    ['127.2.0.1:300', 1],
    ['nobody', 0],
  ] as const) {
    await search.fill(text)
    t.is(await page.locator('[data-service]:visible').count(), count, text)
  }
  t.true(await page.getByText('No service, route or address is like that.').isVisible())
  await search.fill('')
  await page.getByLabel('only trouble').check()
  await page.getByText('No service is in trouble.').waitFor()
  await page.getByLabel('only trouble').uncheck()
  await page.locator('[data-service="service-299"]').scrollIntoViewIfNeeded()
  await page.locator('[data-service="service-299"] .chart').first().waitFor()
  t.deepEqual(faults, [])
})

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [360, 820, 1440, 1920]) {
    test(`it never scrolls sideways ${width} px wide, ${colorScheme}`, async (t) => {
      const { url } = await startGateway(t, { file: twoServices })
      const { page, faults } = await openPage(t)(url, { colorScheme, viewport: { width, height: 800 } })
      await page.goto(`${url}/dashboard`)
      await page.locator('[data-service] .chart').first().waitFor()
      for (const panel of await page.locator('details').all()) {
        if ((await panel.getAttribute('open')) === null) await panel.locator('summary').click()
      }
      t.true(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'))
      t.deepEqual(faults, [])
    })
  }
}
