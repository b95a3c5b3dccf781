import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { platform } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { findCaddy } from '../../scripts/caddy.ts'
import { findConsul } from '../../scripts/consul.ts'
import { startTopology, type Topology } from '../support/compose.ts'
import { composeTest } from '../support/docker-compose.ts'
import { noPostgres } from '../support/postgres.ts'
import { until } from '../support/until.ts'

const needed = [await findConsul(), await findCaddy()].flatMap((found) =>
  'binary' in found ? [] : found.unavailable,
)
if (noPostgres !== undefined) needed.push(noPostgres)
// Each container has an address of its own, 127.x.y.z.
if (platform() !== 'linux') needed.push('no Linux')

topologyTest(
  'docker-compose.yml with two gateways and three auths: the journey, and a rolling restart',
  async (t) => {
    // Ten processes: a minute here, more where there is less to run them on.
    t.timeout(600_000)
    const startedAt = performance.now()
    const topology = await startTopology(t, { scale: { gateway: 2, auth: 3 } })
    t.log(`everything is healthy after ${seconds(startedAt)}`)
    const { url } = topology
    const [gateway, other] = topology.containers('gateway')

    await t.notThrowsAsync(everybodyIsInConsul(topology))
    t.regex(await text(`${url}/docs`, { headers: { Accept: 'text/html' } }), /<title>/)
    await until(
      async () => /"\/api\/user\/me"/.test(await text(`${url}/openapi.json`)),
      'the API of auth is there',
    )
    t.deepEqual(await json(`${url}/api/users`), { message: 'Welcome from AUTH service' })
    const admin = { headers: { Authorization: 'Bearer dev-admin' } }
    const routes = await text(`${gateway!.url('9090')}/admin/routes`, admin)
    t.regex(routes, /"source":"consul"/)
    t.notRegex(routes, /"source":"static"/)
    t.is((await fetch(`${url}/metrics`)).status, 404, 'what is for the operator is not at the front')

    const account = { email: 'ann@example.com', password: 'a long pass phrase' }
    t.is((await post(`${url}/api/user/signup`, { ...account, name: 'Ann' })).status, 201)
    const session = await logIn(url, account)
    const me = (at: string, token: string) =>
      fetch(`${at}/api/user/me`, { headers: { Authorization: `Bearer ${token}` } })
    t.is((await me(url, session)).status, 200)
    // The client and then the front, whom the gateways believe; not what the client says of itself.
    t.deepEqual(await toldOfCaller(t, topology), ['127.0.0.1, 127.0.0.1'])

    const revoked = await logIn(url, account)
    t.is((await me(other!.url('8080'), revoked)).status, 200)
    const revocation = await post(`${gateway!.url('8080')}/tokens/revoke`, { token: revoked }, client)
    t.is(revocation.status, 200, await revocation.text())
    await until(
      async () => (await me(other!.url('8080'), revoked)).status === 401,
      'what one gateway revoked is refused by the other',
    )

    const restartsAt = performance.now()
    const load = startLoad(t, url, session)
    await until(() => load.sent > 20, 'there is load')
    for (const name of ['gateway', 'auth']) {
      for (const container of topology.containers(name)) {
        await container.restart()
        await t.notThrowsAsync(everybodyIsInConsul(topology))
      }
    }
    await load.stop()
    t.log(`five restarts in ${seconds(restartsAt)}: ${load.failures.length} of ${load.sent} requests failed`)
    t.deepEqual(load.failures, [])
  },
)

function topologyTest(title: string, work: (t: ExecutionContext) => Promise<void>): void {
  if (needed.length === 0) composeTest(title, work)
  else if (process.env.REQUIRE_COMPOSE === '1') test(title, (t) => t.fail(needed.join('; ')))
  else test.skip(`${title} (SKIPPED, ${needed.join('; ')})`, work)
}

/** Everybody is registered at an address of his own, and passes the check there. */
async function everybodyIsInConsul(topology: Topology): Promise<void> {
  const [consul] = topology.containers('consul')
  const expected = (name: string, port: string) =>
    topology.containers(name).map((container) => new URL(container.url(port)).host)
  const found = async (name: string) => {
    const reply = await fetch(`${consul!.url('8500')}/v1/health/service/${name}?passing`)
    const entries = (await reply.json()) as { Service: { Address: string; Port: number; ID: string } }[]
    return entries.map(({ Service }) => `${Service.Address}:${Service.Port}`)
  }
  for (const [name, port] of [
    ['gateway', '8080'],
    ['auth', '8001'],
  ] as const) {
    const all = expected(name, port).toSorted().join()
    await until(async () => (await found(name)).toSorted().join() === all, `Consul has each ${name}`)
  }
}

/** What a house of somebody else's, which registers itself beside the others, is told of who asks. */
async function toldOfCaller(t: ExecutionContext, topology: Topology): Promise<unknown> {
  const house = createServer((req, res) => res.end(JSON.stringify(req.headers['x-forwarded-for'])))
  await once(house.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => house.close().closeAllConnections())
  const { port } = house.address() as AddressInfo
  const [consul] = topology.containers('consul')
  const service = {
    Name: 'guest',
    Address: '127.0.0.1',
    Port: port,
    Tags: ['gateway.enable=true', 'gateway.path=/api/guest', 'gateway.auth=none'],
  }
  const registered = await fetch(`${consul!.url('8500')}/v1/agent/service/register`, {
    method: 'PUT',
    body: JSON.stringify(service),
  })
  t.is(registered.status, 200)
  const ask = () => fetch(`${topology.url}/api/guest`, { headers: { 'X-Forwarded-For': '203.0.113.9' } })
  // Through the front to whichever gateway: each of them has to know the house.
  for (const gateway of topology.containers('gateway')) {
    const there = async () => (await fetch(`${gateway.url('8080')}/api/guest`)).status === 200
    await until(there, `${gateway.name} leads to the new house`)
  }
  const replies = await Promise.all(Array.from({ length: 4 }, async () => (await ask()).json()))
  return [...new Set(replies)]
}

const client = { Authorization: `Basic ${Buffer.from('dev-client:dev-secret').toString('base64')}` }

async function logIn(url: string, account: object): Promise<string> {
  const reply = await post(`${url}/api/user/login`, account)
  return ((await reply.json()) as { readonly access_token: string }).access_token
}

/** GETs to both kinds of route, and POSTs, which nobody on the way may repeat. */
function startLoad(t: ExecutionContext, url: string, token: string) {
  const failures: string[] = []
  let sent = 0
  let going = true
  t.teardown(() => {
    going = false
  })
  async function keep(pauseMs: number, ask: () => Promise<Response>): Promise<void> {
    while (going) {
      sent += 1
      try {
        const reply = await ask()
        const said = await reply.text()
        if (reply.status !== 200) failures.push(`${reply.url}: ${reply.status} ${said}`)
      } catch (error) {
        failures.push(String(error instanceof Error ? (error.cause ?? error) : error))
      }
      // A steady trickle: what counts is that it never stops.
      await delay(pauseMs)
    }
  }
  const headers = { Authorization: `Bearer ${token}` }
  const everybody = [
    ...Array.from({ length: 4 }, () => keep(150, () => fetch(`${url}/api/users`))),
    ...Array.from({ length: 2 }, () => keep(150, () => fetch(`${url}/api/user/me`, { headers }))),
    // Not more often: TOKEN_RATE_LIMIT.
    ...Array.from({ length: 2 }, () => keep(300, () => post(`${url}/tokens/verify`, { token }, client))),
  ]
  return {
    get sent() {
      return sent
    },
    failures,
    async stop() {
      going = false
      await Promise.all(everybody)
    },
  }
}

function post(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

async function text(url: string, init: RequestInit = {}): Promise<string> {
  return (await fetch(url, init)).text()
}

async function json(url: string): Promise<unknown> {
  return (await fetch(url)).json()
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
