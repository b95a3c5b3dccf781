import { createHash } from 'node:crypto'
import test from 'ava'
import { renderWelcome, type WelcomePage } from '../../src/door/welcome-page.ts'
import { startGateway } from '../support/gateway.ts'

const browserAccept = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'

for (const accept of [
  undefined,
  '*/*',
  'application/json',
  'image/png',
  'text/html;q=0.5, application/json',
]) {
  test(`the welcome is JSON for Accept: ${accept}`, async (t) => {
    const { url } = await startGateway(t, { env: { PUBLIC_URL: 'https://www.jinmini.com' } })
    const reply = await fetch(url, accept === undefined ? {} : { headers: { accept } })
    t.is(reply.headers.get('content-type'), 'application/json; charset=utf-8')
    t.is(reply.headers.get('vary'), 'Accept')
    t.like(await reply.json(), {
      message: 'Welcome to munjigi',
      docs: 'https://www.jinmini.com/docs',
      openapi: 'https://www.jinmini.com/openapi.json',
    })
  })
}

test('under a route prefix the welcome is there, and its links lead there', async (t) => {
  const { url } = await startGateway(t, {
    env: { PUBLIC_URL: 'https://www.jinmini.com', ROUTE_PREFIX: '/e' },
  })
  t.like(await (await fetch(`${url}/e`)).json(), { docs: 'https://www.jinmini.com/e/docs' })
  const page = await (await fetch(`${url}/e/`, { headers: { accept: browserAccept } })).text()
  t.true(page.includes('href="/e/docs"'))
  t.is((await fetch(url)).status, 404)
})

test('a browser gets a page that may load nothing but what is in it', async (t) => {
  const { url } = await startGateway(t)
  const reply = await fetch(url, { headers: { accept: browserAccept } })
  t.is(reply.headers.get('content-type'), 'text/html; charset=utf-8')
  t.is(reply.headers.get('vary'), 'Accept')
  const page = await reply.text()
  const [, style] = /<style>(.*)<\/style>/s.exec(page) ?? []
  const hash = createHash('sha256').update(style!).digest('base64')
  t.is(
    reply.headers.get('content-security-policy'),
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  t.false(/<script|\bon\w+=|style="/.test(page))
})

test('the page shows the services that there are, without their addresses', async (t) => {
  const services = { auth: { urls: ['http://10.1.2.3:8001'], path: '/api/users', auth: 'none' } }
  const { url } = await startGateway(t, {
    file: { services },
    env: { PUBLIC_URL: 'http://localhost:8080' },
  })
  const page = await (await fetch(url, { headers: { accept: browserAccept } })).text()
  t.true(page.includes('<code>curl http://localhost:8080/api/users</code>'))
  t.true(page.includes('1 instance<'))
  t.false(page.includes('10.1.2.3'))
})

type PageRoute = WelcomePage['routes'][number]
const render = (...routes: Partial<PageRoute>[]) =>
  renderWelcome({
    routePrefix: '',
    publicUrl: 'http://localhost:8080',
    version: '1.0.0',
    login: true,
    dashboard: false,
    style: '',
    routes: routes.map((route) => ({ prefix: '/a', service: 'a', auth: 'none', instances: [], ...route })),
  })

test('a name from outside is text, never markup', (t) => {
  const page = render({ service: `<img src=x onerror="alert('1')">&amp;` })
  t.false(page.includes('<img'))
  t.true(page.includes('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;'))
})

test('a prefix that means something to a shell is quoted in the command', (t) => {
  const page = render({ prefix: "/a/$(x)&'y'" })
  t.true(page.includes("curl 'http://localhost:8080/a/$(x)&amp;'\\''y'\\'''".replaceAll("'", '&#39;')))
})

test('a route that asks for a token shows where it goes', (t) => {
  const page = render({ auth: 'required' })
  t.true(page.includes('curl -H &#39;Authorization: Bearer &lt;token&gt;&#39; http://localhost:8080/a'))
})

test('the page leads to the dashboard where that is on this port, and never in production', async (t) => {
  const leads = async (env: Readonly<Record<string, string>>) => {
    const { url } = await startGateway(t, { env })
    const page = await (await fetch(url, { headers: { accept: browserAccept } })).text()
    return page.includes('<a href="/dashboard">Dashboard</a>')
  }
  t.true(await leads({}))
  t.false(await leads({ ADMIN_PORT: '0' }))
  t.false(await leads({ NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com' }))
})

test('the page leads to the login where there is one', (t) => {
  t.true(render().includes('<a href="/login">Log in</a>'))
})

test('without a database there is no login to lead to', async (t) => {
  const { url } = await startGateway(t)
  const page = await (await fetch(url, { headers: { accept: browserAccept } })).text()
  t.false(page.includes('/login'))
})

test('a service without an instance says so, and so does an empty address book', (t) => {
  t.true(render({}).includes('no instance up'))
  t.true(render().includes('The address book is empty'))
})
