import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import Koa from 'koa'
import type { RateConfig } from '../../src/config/config.ts'
import { createBegin } from '../../src/door/begin.ts'
import { createErrorBoundary } from '../../src/door/error-boundary.ts'
import { createIdentifyCaller } from '../../src/door/forwarded.ts'
import { createRequestLimit } from '../../src/tokens/request-limit.ts'
import type { TokenState } from '../../src/tokens/state.ts'
import { calmTest as test } from '../support/calm.ts'
import { recordedLog } from '../support/hand-source.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'

/** A door that believes its callers' X-Forwarded-For and lets so many in. */
async function door(t: ExecutionContext, rate: RateConfig) {
  const app = new Koa<TokenState>()
  app.use(createBegin({ identify: createIdentifyCaller(['127.0.0.1']) }))
  app.use(createErrorBoundary({ log: recordedLog(), draining: () => false }))
  const { count, settle } = createRequestLimit(rate)
  app.use(count)
  app.use((ctx, next) => {
    const authenticated = ctx.get('Authorization') === 'Basic right'
    ctx.state.client = authenticated ? { id: 'auth', authenticated } : undefined
    return next()
  })
  app.use(settle)
  app.use((ctx) => {
    ctx.body = 'hello'
  })
  const server = http.createServer(app.callback()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return (address: string, authorization?: string) =>
    request(url, { headers: { 'X-Forwarded-For': address, ...(authorization && { authorization }) } })
}

test('as many requests as the rate says are let in, and no more', async (t) => {
  const ask = await door(t, { points: 3, seconds: 60 })
  for (const left of [2, 1, 0]) {
    const reply = await ask('203.0.113.7')
    t.is(reply.status, 200)
    t.is(reply.headers['ratelimit-policy'], '"address";q=3;w=60')
    t.regex(String(reply.headers.ratelimit), new RegExp(`^"address";r=${left};t=[56]\\d$`))
  }
  const reply = await ask('203.0.113.7')
  t.is(reply.status, 429)
  t.is(codeOf(reply), 'too_many_requests')
  const retryAfter = reply.headers['retry-after']!
  t.regex(retryAfter, /^\d+$/)
  t.true(Number(retryAfter) > 0 && Number(retryAfter) <= 60, retryAfter)
  t.is(reply.headers['ratelimit-policy'], '"address";q=3;w=60')
  t.is(reply.headers.ratelimit, `"address";r=0;t=${retryAfter}`)
})

test('of requests that come all at once no more are let in either', async (t) => {
  const ask = await door(t, { points: 5, seconds: 60 })
  const replies = await Promise.all(Array.from({ length: 20 }, () => ask('203.0.113.7')))
  t.is(replies.filter(({ status }) => status === 200).length, 5)
})

test('one address does not use up what another may, unless both are of one IPv6 network', async (t) => {
  const ask = await door(t, { points: 1, seconds: 60 })
  t.is((await ask('203.0.113.7')).status, 200)
  t.is((await ask('203.0.113.8')).status, 200)
  t.is((await ask('2001:db8:0:1::1')).status, 200)
  t.is((await ask('2001:db8:0:2::1')).status, 200)
  t.is((await ask('2001:db8:0:1:ffff::9')).status, 429)
})

test('once the window is over the address is let in again', async (t) => {
  const ask = await door(t, { points: 1, seconds: 1 })
  t.is((await ask('203.0.113.7')).status, 200)
  const refused = await ask('203.0.113.7')
  t.is(refused.status, 429)
  t.is(refused.headers['retry-after'], '1')
  await until(async () => (await ask('203.0.113.7')).status === 200, 'let in again')
})

test('a client that shows its secret is not counted, and not refused for what strangers at its address do', async (t) => {
  const ask = await door(t, { points: 2, seconds: 60 })
  for (let i = 0; i < 5; i += 1) t.is((await ask('203.0.113.7', 'Basic right')).status, 200)
  for (let i = 0; i < 2; i += 1) t.is((await ask('203.0.113.7')).status, 200)
  t.is((await ask('203.0.113.7')).status, 429)
  t.is((await ask('203.0.113.7', 'Basic wrong')).status, 429)
  t.is((await ask('203.0.113.7', 'Basic right')).status, 200)
})
