import test, { type ExecutionContext } from 'ava'
import { createGateway, type Gateway } from '../../../services/auth/gateway.ts'
import { pair, startTokenEndpoint, type TokenReply } from '../../support/token-endpoint.ts'
import { deadOrigin } from '../../support/upstream.ts'

const secret = 'a+b/c= d:e%é'
const request = { subject: 'ann', scope: 'profile', requestId: 'test-1' }

function client(url: string, timeoutMs = 60_000) {
  const warnings: string[] = []
  const gateway: Gateway = createGateway({
    url: () => url,
    client: { id: 'auth', secret },
    timeoutMs,
    warn: (message) => void warnings.push(message),
  })
  return { gateway, warnings }
}

async function answering(t: ExecutionContext, answer?: () => TokenReply | undefined, timeoutMs?: number) {
  const endpoint = await startTokenEndpoint(answer)
  t.teardown(endpoint.stop)
  return { endpoint, ...client(endpoint.url, timeoutMs) }
}

test('credentials are sent as RFC 6749 §2.3.1 has them', async (t) => {
  const { endpoint, gateway } = await answering(t)
  t.deepEqual(await gateway.createTokens(request), pair)
  const [scheme, encoded] = endpoint.requests[0]!.headers.authorization!.split(' ')
  t.is(scheme, 'Basic')
  const [id, sent] = Buffer.from(encoded!, 'base64').toString().split(':')
  t.is(id, 'auth')
  t.is(decodeURIComponent(sent!.replaceAll('+', ' ')), secret)
})

test('the reply is passed on whole, with members that are not known here', async (t) => {
  const more = { ...pair, id_token: 'x' }
  const { gateway } = await answering(t, () => ({ body: JSON.stringify(more) }))
  t.deepEqual(await gateway.createTokens(request), more)
})

const refusals: Readonly<Record<string, TokenReply>> = {
  'a wrong secret': { status: 401, body: '{"error":"invalid_client"}' },
  'a bad request': { status: 400, body: '{"error":"invalid_request"}' },
  'an error of its own': { status: 500, body: 'oops' },
  'no such endpoint': { status: 404, body: '' },
  'a page instead of JSON': { status: 200, body: '<html>' },
  'a reply without a token': { status: 200, body: '{}' },
}
for (const [what, reply] of Object.entries(refusals)) {
  test(`${what} is a 502 gateway_unavailable, and the log tells the status without secrets`, async (t) => {
    const { gateway, warnings } = await answering(t, () => reply)
    await t.throwsAsync(gateway.createTokens(request), { code: 'gateway_unavailable' })
    t.is(warnings.length, 1)
    t.true(warnings[0]!.includes(String(reply.status)))
    t.false(warnings[0]!.includes(secret))
  })
}

test('a wrong secret names the variables to look at', async (t) => {
  const { gateway, warnings } = await answering(t, () => ({ status: 401, body: '{}' }))
  const error = await t.throwsAsync(gateway.createTokens(request))
  t.like(error, { status: 502 })
  t.regex(warnings[0]!, /AUTH_CLIENT_ID and AUTH_CLIENT_SECRET/)
})

test('a gateway that is busy is a 503 with the time it names', async (t) => {
  const { gateway } = await answering(t, () => ({
    status: 429,
    headers: { 'Retry-After': '17' },
    body: '{}',
  }))
  const error = await t.throwsAsync(gateway.createTokens(request))
  t.like(error, { status: 503, code: 'gateway_unavailable', headers: { 'Retry-After': '17' } })
})

test('a gateway that keeps silent is a 503 after the timeout', async (t) => {
  const { gateway, warnings } = await answering(t, () => undefined, 500)
  const error = await t.throwsAsync(gateway.createTokens(request))
  t.like(error, { status: 503, code: 'gateway_unavailable', headers: { 'Retry-After': '1' } })
  t.regex(warnings[0]!, /TimeoutError/)
})

test('a gateway that is not there is a 503, and the log names GATEWAY_URL', async (t) => {
  const { gateway, warnings } = client(await deadOrigin())
  const error = await t.throwsAsync(gateway.createTokens(request))
  t.like(error, { status: 503, code: 'gateway_unavailable' })
  t.deepEqual(warnings, ['GATEWAY_URL: the gateway does not answer (ECONNREFUSED)'])
})

test('a redirect is not followed: the credentials stay here', async (t) => {
  const elsewhere = await startTokenEndpoint()
  t.teardown(elsewhere.stop)
  const { gateway } = await answering(t, () => ({
    status: 307,
    headers: { Location: `${elsewhere.url}/tokens/create` },
  }))
  await t.throwsAsync(gateway.createTokens(request), { code: 'gateway_unavailable' })
  t.is(elsewhere.requests.length, 0)
})
