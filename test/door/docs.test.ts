import test from 'ava'
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
    t.true(page.includes(`"url":"${prefix}/openapi.json"`))
  })
}

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
