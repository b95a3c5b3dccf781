import { calmTest as test } from '../support/calm.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { publishedServices } from '../support/published-services.ts'
import { codeOf, request } from '../support/request.ts'
import { deadOrigin, httpUpstream, unresponsiveOrigin } from '../support/upstream.ts'

const inTurn = { balance: 'round-robin' }

test('a GET that one instance refuses is answered by the next', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('here'))
  const { url } = await startGatewayFor(t, [await deadOrigin(), house.origin], inTurn)
  for (let i = 0; i < 4; i += 1) t.is((await request(`${url}/api/house`)).body, 'here')
})

test('a POST that one instance refuses reaches the next one once and with its whole body', async (t) => {
  const bodies: string[] = []
  const house = await httpUpstream(t, async (incoming, response) => {
    bodies.push(Buffer.concat(await incoming.toArray()).toString())
    response.end('stored')
  })
  const { url, access } = await startGatewayFor(t, [await deadOrigin(), house.origin], inTurn)
  const body = 'x'.repeat(300_000)
  for (let i = 0; i < 2; i += 1) {
    t.is((await request(`${url}/api/house`, { method: 'POST', body })).body, 'stored')
  }
  t.deepEqual(bodies, [body, body])
  t.deepEqual(access.map((entry) => entry.attempts).sort(), [1, 2])
})

test('a chunked POST that one instance refuses reaches the next one whole', async (t) => {
  const house = await httpUpstream(t, async (incoming, response) => {
    response.end(Buffer.concat(await incoming.toArray()))
  })
  const { url } = await startGatewayFor(t, [await deadOrigin(), house.origin], inTurn)
  const headers = { 'transfer-encoding': 'chunked' }
  for (let i = 0; i < 2; i += 1) {
    const reply = await request(`${url}/api/house`, { method: 'POST', body: 'in chunks', headers })
    t.is(reply.body, 'in chunks')
  }
})

test('where every instance refuses the caller gets 502 upstream_refused', async (t) => {
  const { url, access } = await startGatewayFor(t, [await deadOrigin(), await deadOrigin()], inTurn)
  const reply = await request(`${url}/api/house`, { method: 'POST', body: 'x' })
  t.is(reply.status, 502)
  t.is(codeOf(reply), 'upstream_refused')
  t.is(access[0]?.attempts, 2)
})

test('an instance that does not take the connection in time is passed over', async (t) => {
  const house = await httpUpstream(t, (_request, response) => response.end('here'))
  const origins = [house.origin, await unresponsiveOrigin(t)]
  const { url } = await startGatewayFor(t, origins, inTurn, { CONNECT_TIMEOUT: '300ms' })
  const replies = [await request(`${url}/api/house`), await request(`${url}/api/house`)]
  t.deepEqual(
    replies.map((reply) => reply.body),
    ['here', 'here'],
  )
})

test('where no instance takes the connection in time the caller gets 502 upstream_unreachable', async (t) => {
  const { url } = await startGatewayFor(t, await unresponsiveOrigin(t), {}, { CONNECT_TIMEOUT: '300ms' })
  const startedAt = performance.now()
  const reply = await request(`${url}/api/house`)
  t.is(reply.status, 502)
  t.is(codeOf(reply), 'upstream_unreachable')
  const took = performance.now() - startedAt
  t.true(took >= 290 && took < 60_000, `took ${took} ms`)
})

test('a name that does not resolve is answered 502 upstream_unreachable', async (t) => {
  const { url } = await startGatewayFor(t, 'http://nobody.invalid:80')
  const reply = await request(`${url}/api/house`)
  t.is(reply.status, 502)
  t.is(codeOf(reply), 'upstream_unreachable')
})

test('the deadline of a route holds while a connection is being made', async (t) => {
  const origin = await unresponsiveOrigin(t)
  const { url } = await startGatewayFor(t, origin, { timeout: '200ms' }, { CONNECT_TIMEOUT: '10s' })
  const reply = await request(`${url}/api/house`)
  t.is(reply.status, 504)
  t.is(codeOf(reply), 'upstream_timeout')
})

test('a service without an instance is answered 503 no_instance with Retry-After', async (t) => {
  const { url } = await startGateway(t, { services: publishedServices([]) })
  const reply = await request(`${url}/api/house`)
  t.is(reply.status, 503)
  t.is(codeOf(reply), 'no_instance')
  t.is(reply.headers['retry-after'], '5')
})
