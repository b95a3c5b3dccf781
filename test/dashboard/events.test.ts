import test, { type ExecutionContext } from 'ava'
import { openDashboardEvents } from '../support/dashboard-events.ts'
import { freshEmbedded } from '../support/database.ts'
import { startGateway, startGatewayFor } from '../support/gateway.ts'
import { handSource, service } from '../support/hand-source.ts'
import { asClient, startOAuthGateway } from '../support/oauth-gateway.ts'
import { codeOf, request } from '../support/request.ts'
import { until } from '../support/until.ts'
import { deadOrigin, httpUpstream } from '../support/upstream.ts'

const house = 'http://127.0.0.1:9'
const adminToken = 'an-admin-token-of-24-chars'
const stranger = { host: 'gateway.example' }

test('the first message is everything, and another follows every second or so', async (t) => {
  const { url } = await startGatewayFor(t, house)
  const events = await openDashboardEvents(t, url)
  t.is(events.status, 200)
  t.is(events.headers['content-type'], 'text/event-stream')
  t.is(events.headers['cache-control'], 'no-store')
  const first = await events.next()
  t.is(first.event, 'snapshot')
  const { gateway, config, sources, problems, tokens, services } = first.data
  t.like(gateway, { state: 'ready', routes: 1, perSecond: 0, errorShare: 0 })
  t.is(gateway.workers.length, 1)
  t.is(config, null)
  t.like(sources, [{ source: 'static', state: 'live', isFixed: true }])
  t.deepEqual(problems, [])
  t.is(tokens, null)
  t.like(services.house, { source: 'static', provenance: 'named', document: { status: 'none' } })
  t.deepEqual(services.house.routes, [{ prefix: '/api/house', auth: 'none' }])
  t.like(services.house.instances, [{ address: '127.0.0.1:9', state: 'usable', inFlight: 0, weight: 1 }])
  const second = await events.next()
  t.is(second.event, 'change')
  t.true(Number(second.id) > Number(first.id))
  t.true(second.data.at > first.data.at)
  t.is(second.data.services, undefined)
})

test('requests are in the rate and in the points, also for a page that is opened after them', async (t) => {
  const { origin } = await httpUpstream(t, (incoming, reply) => {
    reply.statusCode = incoming.url?.endsWith('bad') ? 500 : 200
    reply.end()
  })
  const { url } = await startGatewayFor(t, origin)
  const early = await openDashboardEvents(t, url)
  for (const path of ['a', 'b', 'bad']) await request(`${url}/api/house/${path}`)
  let share = 0
  // They may have come in several slots.
  const bySlot = new Map<number, number>()
  await early.next(({ data }) => {
    share = Math.max(share, data.services?.house?.errorShare ?? 0)
    for (const [slot, requests] of data.points?.house ?? []) bySlot.set(slot, requests)
    return bySlot.values().reduce((sum, one) => sum + one, 0) === 3
  })
  t.true(share > 0)
  const late = await openDashboardEvents(t, url)
  const { data } = await late.next()
  for (const points of [data.points.house, data.points['']]) {
    const sums = points.reduce(
      ([all, bad]: number[], [, requests, errors]: number[]) => [all! + requests!, bad! + errors!],
      [0, 0],
    )
    t.deepEqual(sums, [3, 1])
  }
})

test('an ejection, and the instance that leaves, are told at once and as such', async (t) => {
  const { origin } = await httpUpstream(t, (_request, reply) => void reply.end())
  const dead = await deadOrigin()
  const source = handSource()
  const description = { openapi: false, 'eject-after': 1 } as const
  const starting = startGateway(t, { services: source })
  await until(() => source.watches.length > 0, 'the source is asked')
  source.publish([service('house', [origin, dead], description)])
  const { url } = await starting
  const events = await openDashboardEvents(t, url)
  await events.next()
  for (let i = 0; i < 10; i += 1) await request(`${url}/api/house`)
  const isDead = (one: { address: string }) => one.address === new URL(dead).host
  const { data } = await events.next((one) =>
    one.data.services?.house?.instances.some(
      (instance: { address: string; state: string }) => isDead(instance) && instance.state === 'ejected',
    ),
  )
  const ejected = data.services.house.instances.find(isDead)
  t.like(ejected, { ejections: 1, consecutiveFailures: 1 })
  t.true(ejected.ejectedUntil > data.at)
  source.publish([service('house', [origin], description)])
  const { data: after } = await events.next((one) => one.data.services?.house?.instances.length === 1)
  t.deepEqual(after.gone, undefined)
  source.publish([service('other', [origin], description)])
  await events.next((one) => one.data.services?.other !== undefined)
})

test('the page and its files are anybody’s, and say nothing of the gateway', async (t) => {
  const { url } = await startGatewayFor(t, house, {}, { ADMIN_TOKEN: adminToken })
  for (const path of ['/dashboard', '/dashboard/']) {
    const reply = await request(url + path, { headers: stranger })
    t.is(reply.status, 200)
    t.notRegex(reply.body, /house|127\.0\.0\.1|admin-token/)
    const policy = String(reply.headers['content-security-policy'])
    t.regex(
      policy,
      /^default-src 'none'; script-src 'nonce-[\w-]{24}'; style-src 'nonce-[\w-]{24}'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    )
    t.is(reply.headers['cache-control'], 'no-store')
    const [, script = ''] = /src="([^"]+)"/.exec(reply.body) ?? []
    const file = await request(url + script, { headers: stranger })
    t.is(file.status, 200)
    t.is(file.headers['content-type'], 'text/javascript; charset=utf-8')
    t.is(file.headers['x-content-type-options'], 'nosniff')
    for (const other of ['lane.ts', '../assets.ts', 'x/main.js', '', 'constructor']) {
      const wrong = await request(new URL(`/dashboard/assets/${script.split('/')[3]}/`, url).href + other)
      t.is(wrong.status, 404, other)
    }
  }
  t.is((await request(`${url}/dashboard/assets/another-version/main.js`)).status, 404)
  t.is((await request(`${url}/dashboard/nothing`)).status, 404)
  const posted = await request(`${url}/dashboard`, { method: 'POST' })
  t.is(posted.status, 405)
  t.is(posted.headers.allow, 'GET, HEAD')
  const head = await request(`${url}/dashboard/events`, { method: 'HEAD' })
  t.is(head.status, 200)
  t.is(head.headers['content-type'], 'text/event-stream')
})

test('a stranger gets no event without a token, and with ADMIN_TOKEN all of them', async (t) => {
  const { url } = await startGatewayFor(t, house, {}, { ADMIN_TOKEN: adminToken })
  for (const authorization of [undefined, 'Bearer wrong', `Basic ${adminToken}`]) {
    const headers = { ...stranger, ...(authorization && { authorization }) }
    const reply = await request(`${url}/dashboard/events`, { headers })
    t.is(reply.status, 401)
    t.false(reply.body.includes(house))
  }
  for (const headers of [{ 'x-forwarded-for': '127.0.0.1' }, { origin: 'https://evil.example' }]) {
    t.is((await request(`${url}/dashboard/events`, { headers })).status, 401)
  }
  const authorization = `Bearer ${adminToken}`
  const events = await openDashboardEvents(t, url, { ...stranger, authorization })
  t.is((await events.next()).event, 'snapshot')
})

test('a stream ends soon after the access token it was opened with is revoked', async (t) => {
  const gateway = await startOAuthGateway(t, await freshEmbedded(t), {})
  const open = async (scope: string) => {
    const token = await gateway.tokenOf('user', { scope })
    const authorization = `Bearer ${token}`
    return { token, events: await openDashboardEvents(t, gateway.url, { ...stranger, authorization }) }
  }
  t.is((await open('profile')).events.status, 403)
  const { token, events } = await open('admin')
  const { data } = await events.next()
  t.is(data.tokens.database, 'live')
  t.is(data.tokens.signing, 'ready')
  t.like(data.tokens.keys, [
    { algorithm: 'ES256', state: 'active', usable: true },
    { algorithm: 'ES256', state: 'next', usable: true },
  ])
  t.deepEqual(Object.keys(data.tokens.keys[1]).toSorted(), [
    'algorithm',
    'createdAt',
    'kid',
    'state',
    'usable',
  ])
  t.true(data.tokens.nextRotationAt > data.at)
  const revoked = await gateway.send('POST', '/tokens/revoke', { headers: asClient, body: { token } })
  t.is(revoked.status, 200)
  t.true((await events.ended()).complete)
})

test('a stop ends the streams and does not wait for those who read them', async (t) => {
  const { url, gateway } = await startGatewayFor(t, house, {}, { DRAIN_TIMEOUT: '5m' })
  const events = await openDashboardEvents(t, url)
  await events.next()
  await gateway.stop()
  t.true((await events.ended()).complete)
})

test('there is room for so many pages, and the next one is told to come again', async (t) => {
  const { url } = await startGatewayFor(t, house)
  const open: Awaited<ReturnType<typeof openDashboardEvents>>[] = []
  for (let i = 0; i < 20; i += 1) open.push(await openDashboardEvents(t, url))
  const refused = await request(`${url}/dashboard/events`)
  t.is(refused.status, 429)
  t.is(codeOf(refused), 'too_many_requests')
  t.is(refused.headers['retry-after'], '10')
  open[0]!.close()
  await until(async () => {
    const events = await openDashboardEvents(t, url)
    return events.status === 200
  }, 'there is room again')
})

test('in production it is on the admin port and never on the public one', async (t) => {
  const env = { NODE_ENV: 'production', PUBLIC_URL: 'https://www.jinmini.com', ADMIN_TOKEN: adminToken }
  const { url, adminUrl = '' } = await startGatewayFor(t, house, {}, env)
  for (const path of ['/dashboard', '/dashboard/events']) {
    const headers = { authorization: `Bearer ${adminToken}` }
    t.is((await request(url + path, { headers })).status, 404, path)
  }
  t.is((await request(`${adminUrl}/dashboard`)).status, 200)
  t.is((await (await openDashboardEvents(t, adminUrl)).next()).event, 'snapshot')
})

test('with ROUTE_PREFIX it is under it', async (t) => {
  const { url } = await startGatewayFor(t, house, {}, { ROUTE_PREFIX: '/e' })
  t.is((await request(`${url}/dashboard`)).status, 404)
  const page = await request(`${url}/e/dashboard`)
  t.is(page.status, 200)
  t.regex(page.body, / src="\/e\/dashboard\/assets\/[\w-]+\/main\.js"/)
  t.is((await (await openDashboardEvents(t, `${url}/e`)).next()).event, 'snapshot')
})

async function states(t: ExecutionContext, services: Readonly<Record<string, object>>) {
  const { url } = await startGateway(t, { file: { services } })
  return (await (await openDashboardEvents(t, url)).next()).data.services
}

test('a canary and a mirror have the routes of the service they stand beside', async (t) => {
  const common = { urls: [house], auth: 'none', openapi: false }
  const services = await states(t, {
    house: { ...common, path: '/h', 'mirror-to': 'copy', 'mirror-percent': 20 },
    next: { ...common, path: '/next', 'canary-of': 'house', 'canary-percent': 5 },
    copy: { ...common, path: '/copy' },
  })
  t.deepEqual(services.next.routes, [
    { prefix: '/h', auth: 'none', share: { kind: 'canary', service: 'house', percent: 5 } },
  ])
  t.deepEqual(services.copy.routes, [
    { prefix: '/copy', auth: 'none' },
    { prefix: '/h', auth: 'none', share: { kind: 'mirror', service: 'house', percent: 20 } },
  ])
  t.is(services.next.source, 'static')
  t.is(services.copy.instances.length, 1)
})
