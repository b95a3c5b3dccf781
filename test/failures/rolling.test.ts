import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { WebSocketServer } from 'ws'
import { createCountingHouse, startBurstyLoad } from '../support/bursty-load.ts'
import { consulTest, startConsul, type TestConsul } from '../support/consul.ts'
import { atMost } from '../support/figures.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { freePort } from '../support/ports.ts'
import { startProcess, type TestProcess } from '../support/processes.ts'
import { request } from '../support/request.ts'
import { startTcpBalancer } from '../support/tcp-balancer.ts'
import { until } from '../support/until.ts'
import { httpUpstream } from '../support/upstream.ts'
import { openWebSocket } from '../support/websocket.ts'
import { row, scaled } from './row.ts'

const drainDelayMs = 1000
const drainTimeoutMs = 30_000
/** Longer than DRAIN_DELAY: it is still going on when no connection is taken any more. */
const slowMs = 2000

row('gateways-rolling', async (t, see) => {
  const posts = createCountingHouse()
  let slow = 0
  const house = await httpUpstream(t, (incoming, response) => {
    if (incoming.url !== '/') slow += 1
    void answer(incoming, response, posts.count)
  })
  const webSockets = new WebSocketServer({ server: house.server })
  webSockets.on('connection', () => {
    slow += 1
  })
  const balancer = await startTcpBalancer(t)
  const start = () =>
    startGatewayProcess(t, house.origin, {
      DRAIN_DELAY: `${drainDelayMs}ms`,
      DRAIN_TIMEOUT: `${drainTimeoutMs}ms`,
      OVERLOAD_DELAY: '0s',
    })
  const names = ['first', 'second']
  const gateways = await Promise.all(names.map(start))
  await Promise.all(names.map((name, i) => balancer.set(name, gateways[i]!.port)))
  const load = startBurstyLoad(t, `${balancer.url}/api/house/`, {
    clients: 6,
    atOnce: 4,
    pauseMs: scaled(300, 2900),
  })
  await until(() => load.requests > 50, 'there is load')

  let restarts = 0
  let slowest = 0
  let begun = 0
  for (let round = 0; round < scaled(1, 10); round += 1) {
    for (const [i, name] of names.entries()) {
      const leaving = gateways[i]!
      const before = slow
      const closes = load.closes
      const outcomes = beginSlowly(t, leaving, `${name}-${round}`)
      await until(() => slow === before + outcomes.length, 'the slow ones are at the house')
      leaving.process.kill('SIGTERM')
      const signalledAt = performance.now()
      await until(
        async () => (await request(`${leaving.url}/readyz`)).status === 503,
        'readiness fails, and is still answered',
      )
      t.deepEqual(
        await Promise.all(outcomes),
        outcomes.map(() => 'whole'),
        'what is in flight ends',
      )
      t.like(await leaving.process.exited, { code: 0 })
      const tookMs = performance.now() - signalledAt
      t.true(tookMs < atMost(drainDelayMs + drainTimeoutMs))
      t.true(load.closes > closes, 'replies say Connection: close')
      slowest = Math.max(slowest, tookMs)
      gateways[i] = await start()
      await balancer.set(name, gateways[i].port)
      restarts += 1
      begun += outcomes.length
    }
  }
  await load.stop()
  t.deepEqual(load.failures, [])
  t.deepEqual(posts.repeated(), [])
  t.true(load.acknowledged.every((id) => posts.timesOf(id) === 1))
  see(`${load.failures.length} of ${load.requests} requests failed in ${restarts} restarts`)
  see(`0 of ${load.acknowledged.length} POSTs reached the house other than once`)
  see(`0 of ${begun} slow ones broke off, ${(slowest / 1000).toFixed(1)} s at most to leave`)
})

const instances = 3

row(
  'houses-rolling',
  async (t, see) => {
    const consul = await startConsul(t)
    const gateway = await startConsulGateway(t, consul)
    const everybody: TestProcess[] = []
    async function startHouse(tags: readonly string[]): Promise<TestProcess> {
      const env = {
        PORT: String(await freePort()),
        CONSUL_HTTP_ADDR: consul.address,
        TAGS: JSON.stringify(['gateway.enable=true', ...tags]),
      }
      const house = startProcess(t, 'test/support/rolling-house.ts', env)
      everybody.push(house)
      const [, id = ''] = await house.printed(/registered as (\S+)/)
      await until(async () => (await passing(consul)).includes(id), 'its check passes')
      return house
    }
    let houses = await Promise.all(Array.from({ length: instances }, () => startHouse(tagsOf(0))))
    const reaches = async (path: string) => (await request(gateway + path)).status === 200
    await until(() => reaches('/api/house'), 'the gateway knows them')

    const load = startBurstyLoad(t, `${gateway}/api/house`, { clients: 4, atOnce: 3, pauseMs: 60 })
    let replaced = 0
    let changes = 0
    let killed = 0
    for (let round = 1; round <= scaled(1, 10); round += 1) {
      for (const [i, leaving] of houses.entries()) {
        // Now and then one dies instead, with a POST in hand, and nobody is told.
        const dies = i === 1 && round % 3 === 1
        if (dies) {
          const from = leaving.output().length
          await until(() => leaving.output().length > from, 'a POST has come')
          leaving.kill('SIGKILL')
          killed += 1
        }
        const next = await startHouse(tagsOf(round))
        houses = houses.with(i, next)
        const failedBefore = load.failures.length
        leaving.kill('SIGTERM')
        t.is((await leaving.exited).code, dies ? null : 0)
        const before = load.requests
        await until(() => load.requests > before + 20, 'requests go on')
        t.is(load.failures.length, failedBefore, 'none failed for one that leaves in good order')
        if (i < instances - 1) t.true(await reaches(`/api/home-${round - 1}`), 'the last agreement holds')
        replaced += 1
      }
      const path = `/api/home-${round}`
      await until(() => reaches(path), 'what the new version says holds, once all say it')
      changes += 1
    }
    await load.stop()

    const posts = createCountingHouse()
    for (const house of everybody) {
      for (const [, id = ''] of house.output().matchAll(/^POST (\S+)$/gm)) posts.count(id)
    }
    const failed = (method: string) => load.failures.filter((failure) => failure.method === method)
    t.deepEqual(failed('GET'), [])
    t.deepEqual(posts.repeated(), [])
    t.deepEqual(
      load.acknowledged.filter((id) => posts.timesOf(id) !== 1),
      [],
    )
    see(
      `${failed('GET').length} GETs failed and ${posts.repeated().length} POSTs came twice, of ${load.requests} requests`,
    )
    see(`${replaced} instances replaced, ${changes} changes of tags`)
    see(
      `${failed('POST').length} POSTs were answered 502: in flight at the ${killed} of them that were killed`,
    )
  },
  consulTest,
)

/** Each version of the house has another deadline and, beside the path that stays, one of its own. */
const tagsOf = (version: number): readonly string[] => [
  'gateway.path=/api/house',
  `gateway.path=/api/home-${version}`,
  'gateway.auth=none',
  'gateway.openapi=false',
  `gateway.timeout=${20 + version}s`,
  ...(version % 2 === 0 ? ['gateway.strip=/api'] : []),
]

async function startConsulGateway(t: ExecutionContext, consul: TestConsul): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'munjigi-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const env = {
    HOST: '127.0.0.1',
    PORT: '0',
    DISCOVERY: 'consul',
    CONSUL_HTTP_ADDR: consul.address,
    OVERLOAD_DELAY: '0s',
  }
  const gateway = startProcess(t, 'src/main.ts', env, { cwd })
  const [, url = ''] = await gateway.printed(/listens on (http:\S+)/)
  return url
}

async function passing(consul: TestConsul): Promise<readonly string[]> {
  const found = await consul.client.health.service({ service: 'house', passing: true })
  return (found as { Service: { ID: string } }[]).map(({ Service }) => Service.ID)
}

/** A house that counts POSTs; what is under `/slow` takes its time. */
async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  count: (id: string) => void,
): Promise<void> {
  const body = await incoming.toArray().then(
    (chunks) => Buffer.concat(chunks),
    () => Buffer.alloc(0),
  )
  if (incoming.method === 'POST') count(body.toString())
  if (incoming.url === '/slow') await delay(slowMs)
  if (incoming.url === '/events') {
    response.setHeader('content-type', 'text/event-stream')
    for (let sent = 0; sent < slowMs; sent += 100) {
      response.write(`data: ${sent}\n\n`)
      await delay(100)
    }
  }
  response.end('whole')
}

/** One of each kind that takes longer than the gateway's first steps out; each resolves with `whole`, or what it got. */
function beginSlowly(t: ExecutionContext, { url }: GatewayProcess, id: string): Promise<string>[] {
  const slow = `${url}/api/house/slow`
  const read = async (reply: ReturnType<typeof request>) => {
    try {
      return (await reply).body.match(/whole$/)?.[0] ?? (await reply).body
    } catch (error) {
      return String(error)
    }
  }
  return [
    read(request(slow)),
    read(request(slow, { method: 'POST', body: `slow-${id}` })),
    upload(slow, `upload-${id}`),
    read(request(`${url}/api/house/events`)),
    webSocketEnd(t, `${url}/api/house/`),
  ]
}

/** A body that comes byte by byte. */
async function upload(url: string, body: string): Promise<string> {
  const outgoing = http.request(url, { method: 'POST', agent: false })
  const reply = once(outgoing, 'response') as Promise<[IncomingMessage]>
  reply.catch(() => {})
  for (const byte of body) {
    outgoing.write(byte)
    await delay(slowMs / body.length)
  }
  outgoing.end()
  try {
    return Buffer.concat(await (await reply)[0].toArray()).toString()
  } catch (error) {
    return String(error)
  }
}

/** A WebSocket has no end of its own: the gateway closes it on leaving, without a reset. */
async function webSocketEnd(t: ExecutionContext, url: string): Promise<string> {
  const socket = await openWebSocket(t, url)
  return once(socket, 'close').then(() => 'whole', String)
}
