import test from 'ava'
import { createDocs, type DocsOptions } from '../../src/door/docs.ts'
import { startGateway } from '../support/gateway.ts'
import { request } from '../support/request.ts'

for (const path of ['/docs', '/docs/']) {
  test(`${path} is a page that lets in what bears its nonce, and nothing else`, async (t) => {
    const { url } = await startGateway(t)
    const reply = await fetch(url + path)
    t.is(reply.status, 200)
    t.is(reply.headers.get('content-type'), 'text/html; charset=utf-8')
    const page = await reply.text()
    const policy = reply.headers.get('content-security-policy') ?? ''
    const [, nonce] = /script-src 'nonce-([\w-]{24})';/.exec(policy) ?? []
    t.truthy(nonce, policy)
    t.false(policy.includes('unsafe'))
    for (const [tag] of page.matchAll(/<(?:script|style|link rel="stylesheet")[\s>][^>]*>?/g)) {
      t.true(tag.includes(`nonce="${nonce}"`), tag)
    }
    t.is(reply.headers.get('x-content-type-options'), 'nosniff')
    t.is(reply.headers.get('referrer-policy'), 'no-referrer')
    t.regex(policy, /default-src 'none'.*frame-ancestors 'none'/)
  })
}

test('the nonce is another one each time', async (t) => {
  const { url } = await startGateway(t)
  const policies = await Promise.all(
    [1, 2].map(async () => (await fetch(`${url}/docs`)).headers.get('content-security-policy')),
  )
  t.not(policies[0], policies[1])
})

for (const prefix of ['', '/e']) {
  test(`everything that ${prefix}/docs names is on the gateway, and may be kept for good`, async (t) => {
    const { url } = await startGateway(t, { env: prefix === '' ? {} : { ROUTE_PREFIX: prefix } })
    const page = await (await fetch(`${url}${prefix}/docs`)).text()
    const names = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, name]) => name!)
    t.is(names.length, 4)
    for (const name of names) {
      t.true(name.startsWith(`${prefix}/docs/assets/`), name)
      const reply = await fetch(url + name)
      t.is(reply.status, 200, name)
      t.is(reply.headers.get('cache-control'), 'public, max-age=31536000, immutable')
      const etag = reply.headers.get('etag')!
      // Not by fetch, which adds Cache-Control: no-cache.
      t.is((await request(url + name, { headers: { 'If-None-Match': etag } })).status, 304)
    }
    for (const path of [`${prefix}/openapi.json`, `${prefix}/docs/gateway.json`]) {
      t.true(page.includes(`"url":"${path}"`))
      t.is((await fetch(url + path)).status, 200)
    }
  })
}

const pageOf = (given: Partial<DocsOptions>) => {
  const docs = createDocs({
    ...{ routePrefix: '', publicUrl: 'https://api.example.com', login: true, own: {}, documents: () => [] },
    ...given,
  })
  const headers = new Map<string, string>()
  const ctx = { path: '/docs', set: headers.set.bind(headers), type: '', body: '' }
  const ask = async (step: 'page' | 'redirect') => {
    await docs[step](ctx as unknown as Parameters<typeof docs.page>[0], async () => {})
    return ctx.body
  }
  return { ask, headers }
}
const optionsIn = (page: string) =>
  JSON.parse(/const options = (\{.*\});/.exec(page)![1]!) as Record<string, unknown>

test('the services that there are at the moment are to be chosen from, whatever their names', async (t) => {
  let documents = [{ name: 'auth', bytes: 100 }]
  const { ask } = pageOf({ documents: () => documents })
  const names = async () => (optionsIn(await ask('page')).urls as { name: string }[]).map(({ name }) => name)
  t.deepEqual(await names(), ['All services', 'The gateway', 'auth'])
  documents = [{ name: "</script>$&$'", bytes: 1 }]
  t.deepEqual(await names(), ['All services', 'The gateway', "</script>$&$'"])
  t.false((await ask('page')).includes("</script>$&$'"))
})

for (const [megabytes, first, docExpansion] of [
  [0.1, 'All services', 'list'],
  [1, 'All services', 'none'],
  [13, 'The gateway', 'none'],
] as const) {
  test(`with ${megabytes} MB of documents the page begins with ${first}, its tags ${docExpansion}`, async (t) => {
    const { ask } = pageOf({ documents: () => [{ name: 'big', bytes: megabytes * 1_000_000 }] })
    t.like(optionsIn(await ask('page')), { 'urls.primaryName': first, docExpansion })
  })
}

test('a login comes back to a page that lets in its own script only, and stays in the window it was begun in', async (t) => {
  const { ask, headers } = pageOf({})
  const page = await ask('redirect')
  const policy = headers.get('Content-Security-Policy')!
  t.regex(policy, /^default-src 'none'; script-src 'nonce-[\w-]{24}'; /)
  t.false(policy.includes('connect-src'))
  t.is(page.match(/<script/g)?.length, 1)
  t.is(headers.get('Cache-Control'), 'no-store')
  t.is(headers.get('Referrer-Policy'), 'no-referrer')
  t.is(headers.get('Cross-Origin-Opener-Policy'), 'unsafe-none')
  await ask('page')
  t.is(headers.get('Cross-Origin-Opener-Policy'), 'same-origin-allow-popups')
})

test('where nobody can log in the page knows nothing of logins', async (t) => {
  const { ask, headers } = pageOf({ login: false })
  const page = await ask('page')
  t.false(page.includes('initOAuth({'))
  t.false(page.includes('public address'))
  t.is(headers.get('Cross-Origin-Opener-Policy'), 'same-origin')
})

test("a service's path that ends in /docs is the service's", async (t) => {
  const { url } = await startGateway(t)
  const reply = await fetch(`${url}/api/house/docs`)
  t.is(reply.status, 404)
  t.is(reply.headers.get('content-type'), 'application/problem+json')
})

for (const path of ['/docs/assets/0.0.0/swagger-ui-bundle.js', '/docs/assets', '/docs/other', '/DOCS']) {
  test(`${path} is not found`, async (t) => {
    const { url } = await startGateway(t)
    t.is((await fetch(url + path)).status, 404)
  })
}

test('other methods than GET and HEAD are refused', async (t) => {
  const { url } = await startGateway(t)
  for (const path of ['/', '/docs', '/openapi.json']) {
    const reply = await fetch(url + path, { method: 'POST' })
    t.is(reply.status, 405, path)
    t.is(reply.headers.get('allow'), 'GET, HEAD')
    t.is((await fetch(url + path, { method: 'HEAD' })).status, 200, path)
  }
})
