import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { consulTest, startConsul, type TestConsul } from '../support/consul.ts'
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts'
import { atMost } from '../support/figures.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { scrape } from '../support/scrape.ts'
import { startSteadyLoad } from '../support/steady-load.ts'
import { until } from '../support/until.ts'
import { httpUpstream, type TestUpstream } from '../support/upstream.ts'
import { row, scaled } from './row.ts'

const startHouse = (t: ExecutionContext) =>
  httpUpstream(t, (_request, response) => void response.end('at home'))

/** Registers an instance that is open to everybody and has no check. */
function register(consul: TestConsul, name: string, { port }: TestUpstream, id = name): Promise<unknown> {
  const tags = ['gateway.enable=true', 'gateway.auth=none', 'gateway.openapi=false']
  return consul.client.agent.service.register({ id, name, address: '127.0.0.1', port, tags })
}

/** A gateway that has `house` from its file and everything else from Consul, of which it is no part. */
function startGatewayAt(t: ExecutionContext, house: TestUpstream, consulAddress: string, env = {}) {
  return startGatewayProcess(t, house.origin, {
    DISCOVERY: 'static,consul',
    CONSUL_HTTP_ADDR: consulAddress,
    REGISTER: 'false',
    ...env,
  })
}

const statusOf = async (url: string) => {
  const reply = await fetch(url)
  await reply.arrayBuffer()
  return reply.status
}

/** Seconds since Consul's last word. */
async function ageOf({ url }: GatewayProcess): Promise<number> {
  const scraped = await scrape(url)
  return scraped.value('munjigi_discovery_source_age_seconds{source="consul"}') ?? Number.NaN
}

row(
  'consul-away-at-start',
  async (t, see) => {
    const house = await startHouse(t)
    const consul = await startConsul(t)
    await consul.kill()
    const gateway = await startGatewayAt(t, house, consul.address)
    t.is(await statusOf(`${gateway.url}/livez`), 200)
    t.is(await statusOf(`${gateway.url}/readyz`), 503)
    const load = startSteadyLoad(t, `${gateway.url}/api/house`)
    const from = load.sent
    await sleep(scaled(500, 15_000))
    await until(() => load.sent > from + 20, 'static routes are served')
    t.is(await statusOf(`${gateway.url}/readyz`), 503)
    t.is(await statusOf(`${gateway.url}/livez`), 200)

    await consul.restartEmpty()
    const backAt = performance.now()
    await until(async () => (await statusOf(`${gateway.url}/readyz`)) === 200, 'the gateway is ready')
    const tookMs = Math.round(performance.now() - backAt)
    await load.stop()
    t.true(tookMs <= atMost(5000), `${tookMs} ms`)
    t.deepEqual(load.failures, [])
    see(`ready ${tookMs} ms after Consul had a leader`)
    see(`${load.failures.length} of ${load.sent} requests for static routes failed meanwhile`)
  },
  consulTest,
)

row(
  'consul-frozen',
  async (t, see) => {
    const consul = await startConsul(t)
    const houses = [await startHouse(t), await startHouse(t)]
    const registerBoth = () =>
      Promise.all(houses.map((house, i) => register(consul, 'auth', house, `auth-${i}`)))
    await registerBoth()
    const gateway = await startGatewayAt(t, houses[0]!, consul.address)
    await until(async () => (await statusOf(`${gateway.url}/api/auth`)) === 200, 'the route is known')
    const load = startSteadyLoad(t, `${gateway.url}/api/auth`)

    const frozenMs = scaled(3000, 60_000)
    consul.freeze()
    const [from, ageBefore] = [load.sent, await ageOf(gateway)]
    await sleep(frozenMs)
    const age = await ageOf(gateway)
    t.true(age - ageBefore >= (frozenMs / 1000) * 0.9, `${ageBefore} s, then ${age} s`)
    consul.thaw()
    see(
      `frozen for ${frozenMs / 1000} s: ${load.failures.length} of ${load.sent - from} requests failed, age ${age.toFixed(1)} s`,
    )
    await until(async () => (await ageOf(gateway)) < age / 2, 'Consul is heard again')

    await consul.kill()
    const goneFrom = load.sent
    await sleep(scaled(1000, 20_000))
    const ageOfGone = await ageOf(gateway)
    t.true(ageOfGone > scaled(0.9, 19), `${ageOfGone} s`)
    see(`gone: ${load.failures.length} of ${load.sent - goneFrom}, age ${ageOfGone.toFixed(1)} s`)

    await consul.restartEmpty()
    const emptyFrom = load.sent
    await until(async () => (await ageOf(gateway)) < ageOfGone / 2, 'Consul is heard again')
    await registerBoth()
    const sent = load.sent
    await until(() => load.sent > sent + 50, '50 requests after that')
    await load.stop()
    see(`back and empty: ${load.failures.length} of ${load.sent - emptyFrom}`)
    t.deepEqual(load.failures, [])
  },
  consulTest,
)

row(
  'everyone-gone',
  async (t, see) => {
    const consul = await startConsul(t)
    const houses = [await startHouse(t), await startHouse(t), await startHouse(t)]
    await Promise.all(houses.map((house, i) => register(consul, 'auth', house, `auth-${i}`)))
    const holdMs = scaled(2000, 30_000)
    const gateway = await startGatewayAt(t, houses[0]!, consul.address, { DISCOVERY_HOLD: `${holdMs}ms` })
    const url = `${gateway.url}/api/auth`
    await until(async () => (await statusOf(url)) === 200, 'the route is known')

    const goneAt = performance.now()
    await Promise.all(houses.map((_, i) => consul.client.agent.service.deregister(`auth-${i}`)))
    let served = 0
    let refused = await fetch(url)
    for (; refused.status === 200 && performance.now() - goneAt < atMost(holdMs + 10_000); served += 1) {
      await refused.arrayBuffer()
      await sleep(5)
      refused = await fetch(url)
    }
    const heldMs = performance.now() - goneAt
    t.is(refused.status, 503)
    t.regex(refused.headers.get('retry-after') ?? '', /^\d+$/)
    t.true(heldMs > holdMs * 0.99, `${heldMs} ms`)
    t.true(heldMs < atMost(holdMs + 10_000), `${heldMs} ms`)
    see(`held for ${(heldMs / 1000).toFixed(1)} s of ${holdMs / 1000} s, ${served} requests served`)
    see(`then 503, Retry-After: ${refused.headers.get('retry-after')}`)
    await sleep(scaled(0, 5000))
    t.is(await statusOf(url), 503)

    await register(consul, 'auth', houses[1]!, 'auth-back')
    const backAt = performance.now()
    await until(async () => (await statusOf(url)) === 200, 'one is back')
    see(`back ${Math.round(performance.now() - backAt)} ms after one had registered`)
  },
  consulTest,
)

const header = (value: string | undefined): Fault => ({
  kind: 'headers',
  headers: { 'x-consul-index': value },
})
const abuses: readonly (readonly [string, Fault])[] = [
  ['frozen', { kind: 'frozen' }],
  ['no index', header(undefined)],
  ['400', { kind: 'status', status: 400 }],
  ['403', { kind: 'status', status: 403 }],
  ['cut off', { kind: 'truncated' }],
  ['index backwards', header('1')],
]

row(
  'consul-abuse',
  async (t, see) => {
    const consul = await startConsul(t)
    const proxy = await startFaultProxy(t, consul.port)
    const house = await startHouse(t)
    const known = ['auth', 'mail']
    const registerAll = () => Promise.all(known.map((name) => register(consul, name, house)))
    await registerAll()
    const gateway = await startGatewayAt(t, house, proxy.address)
    const startedAt = performance.now()
    await until(async () => (await statusOf(`${gateway.url}/api/mail`)) === 200, 'the routes are known')
    const load = startSteadyLoad(
      t,
      ['auth', 'mail'].map((name) => `${gateway.url}/api/${name}`),
    )
    const asked = (pattern: RegExp) => proxy.requests.filter(({ path }) => pattern.test(path)).length
    const delays: string[] = []

    async function recovers(what: string): Promise<void> {
      const name = `new-${known.length}`
      known.push(name)
      const mendedAt = performance.now()
      await register(consul, name, house)
      await until(
        async () => (await statusOf(`${gateway.url}/api/${name}`)) === 200,
        `a new route after ${what}`,
      )
      const tookMs = performance.now() - mendedAt
      t.true(tookMs <= atMost(10_000), `${what}: ${tookMs} ms`)
      delays.push(`${what} ${(tookMs / 1000).toFixed(1)} s`)
    }

    for (const [what, fault] of abuses.slice(0, scaled(2, abuses.length))) {
      const before = asked(/./)
      proxy.set(fault)
      // A reply that is spoilt on its way needs one to be on its way.
      await register(consul, 'auth', house, `auth-${before}`)
      await consul.client.agent.service.deregister(`auth-${before}`)
      await sleep(scaled(500, 8000))
      await until(() => asked(/./) > before || fault.kind === 'frozen', `requests meet ${what}`)
      proxy.set(undefined)
      await recovers(what)
    }

    await consul.restartEmpty()
    await sleep(scaled(200, 3000))
    await registerAll()
    await recovers('empty restart')

    const churnMs = scaled(2000, 15_000)
    const [catalogBefore, churnedBefore] = [asked(/catalog/), asked(/service\/churn/)]
    const changes = await churn(consul, house, churnMs)
    const perSecond = Math.round(changes / (churnMs / 1000))
    see(
      `${perSecond} changes a second: ${asked(/catalog/) - catalogBefore} catalog requests and ${asked(/service\/churn/) - churnedBefore} for the service in ${churnMs / 1000} s`,
    )
    await recovers('churn')

    await load.stop()
    const elapsed = (performance.now() - startedAt) / 1000
    const catalog = asked(/^\/v1\/catalog\/services/)
    t.true(catalog <= elapsed + 4, `${catalog} catalog requests in ${elapsed} s`)
    for (const name of known) t.is(await statusOf(`${gateway.url}/api/${name}`), 200, name)
    t.deepEqual(load.failures, [])
    see(`${load.failures.length} of ${load.sent} requests failed`)
    see(`${catalog} catalog requests in ${Math.round(elapsed)} s`)
    see(`a new route after: ${delays.join(', ')}`)
  },
  consulTest,
)

/** Changes one service at the agent, its port or its tags, 1000 times a second or as often as the agent can. */
async function churn({ port }: TestConsul, house: TestUpstream, ms: number): Promise<number> {
  const agent = new http.Agent({ keepAlive: true })
  const workers = 20
  const everyMs = workers
  const startedAt = performance.now()
  let changes = 0
  async function change(worker: number): Promise<void> {
    for (let round = 0; performance.now() - startedAt < ms; round++) {
      await sleep(Math.max(0, startedAt + round * everyMs - performance.now()))
      const body = JSON.stringify({
        ...{ ID: `churn-${worker}`, Name: 'churn', Address: '127.0.0.1', Port: house.port },
        Tags: ['gateway.enable=true', 'gateway.openapi=false', `round=${round}`],
      })
      await put(agent, port, '/v1/agent/service/register', body)
      changes += 1
    }
  }
  await Promise.all(Array.from({ length: workers }, (_, worker) => change(worker)))
  agent.destroy()
  return changes
}

/** With node:http, since `fetch` would take more of the machine than the agent that it is to keep busy. */
function put(agent: http.Agent, port: number, path: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': Buffer.byteLength(body) }
    const request = http.request(
      { host: '127.0.0.1', port, path, method: 'PUT', agent, headers },
      (reply) => {
        reply.resume().on('end', resolve)
      },
    )
    request.on('error', reject).end(body)
  })
}
