import type { ExecutionContext } from 'ava'
import { consulTest, startConsul, type TestConsul } from './support/consul.ts'
import { atMost } from './support/figures.ts'
import { freePort } from './support/ports.ts'
import { startProcess, type TestProcess } from './support/processes.ts'
import { startSteadyLoad } from './support/steady-load.ts'
import { until } from './support/until.ts'

consulTest(
  'a gateway and its houses meet in Consul, and no request is lost while they come and go',
  async (t) => {
    const consul = await startConsul(t)
    const gateway = await startGateway(t, consul)
    const houses = [await startHouse(t, consul), await startHouse(t, consul)]
    await until(() => reachable(gateway, 2), 'the gateway knows both houses')

    const shares = await share(gateway, 100)
    t.log(`100 requests to two houses: ${[...shares.values()].join(' and ')}`)
    t.is(shares.size, 2)
    t.true(
      [...shares.values()].every((count) => count >= 15),
      'both get their share',
    )

    const load = startSteadyLoad(t, `${gateway.url}/api/users`)
    houses[0]!.kill('SIGKILL')
    await until(async () => (await passing(consul)) === 1, 'Consul has marked the killed house')
    const marked = load.sent
    await until(() => load.sent > marked + 100, '100 requests after that')
    t.log(`one house killed with -9: ${load.failures.length} of ${load.sent} GETs failed`)
    t.deepEqual(load.failures, [], 'its requests went to the other one')

    const startedAt = performance.now()
    const third = await startHouse(t, consul)
    await until(async () => (await passing(consul)) === 2, 'Consul knows the third house')
    const knownAt = performance.now()
    await third.printed(/GET \/users/)
    const delayMs = performance.now() - knownAt
    t.log(
      `a third house: ${Math.round(knownAt - startedAt)} ms to start and register, used ${Math.round(delayMs)} ms later`,
    )
    t.true(delayMs < atMost(1000))

    await consul.restartEmpty()
    await until(async () => (await passing(consul)) === 2, 'both houses have registered again')
    await until(async () => (await passing(consul, 'gateway')) === 1, 'so has the gateway')
    const restarted = load.sent
    await until(() => load.sent > restarted + 100, '100 requests after that')
    await load.stop()
    const { sent, failures } = load
    t.log(
      `the agent restarted empty: everybody is back; ${failures.length} of ${sent} requests failed in all`,
    )
    t.deepEqual(failures, [])

    gateway.process.kill('SIGTERM')
    t.like(await gateway.process.exited, { code: 0 })
    t.is(await passing(consul, 'gateway'), 0, 'the gateway has deregistered itself')
  },
)

interface RunningGateway {
  readonly url: string
  readonly process: TestProcess
}

async function startGateway(t: ExecutionContext, consul: TestConsul): Promise<RunningGateway> {
  const gateway = startProcess(t, 'src/main.ts', {
    PORT: '0',
    HOST: '127.0.0.1',
    DISCOVERY: 'consul',
    CONSUL_HTTP_ADDR: consul.address,
  })
  const [, url] = await gateway.printed(/listens on (http:\S+)/)
  return { url: String(url), process: gateway }
}

async function startHouse(t: ExecutionContext, consul: TestConsul): Promise<TestProcess> {
  const house = startProcess(t, 'services/auth/main.ts', {
    // Nobody else's once it was killed, while the gateway still asks there.
    AUTH_PORT: String(await freePort()),
    AUTH_HOST: '127.0.0.1',
    CONSUL_HTTP_ADDR: consul.address,
    DATABASE_URL: 'none',
  })
  await house.printed(/listening on/)
  return house
}

async function passing(consul: TestConsul, service = 'auth'): Promise<number> {
  const found = await consul.client.health.service({ service, passing: true })
  return (found as unknown[]).length
}

/** Whether this many houses answer, going by the gateway's own log. */
async function reachable(gateway: RunningGateway, count: number): Promise<boolean> {
  await fetch(`${gateway.url}/api/users`)
  return new Set(instancesIn(gateway.process.output())).size === count
}

async function share(gateway: RunningGateway, count: number): Promise<Map<string, number>> {
  const before = instancesIn(gateway.process.output()).length
  for (let i = 0; i < count; i += 1) await (await fetch(`${gateway.url}/api/users`)).arrayBuffer()
  await until(() => instancesIn(gateway.process.output()).length >= before + count, 'all are in the log')
  const shares = new Map<string, number>()
  for (const instance of instancesIn(gateway.process.output()).slice(before)) {
    shares.set(instance, (shares.get(instance) ?? 0) + 1)
  }
  return shares
}

const instancesIn = (log: string) =>
  [...log.matchAll(/auth@(\S+) {2}200/g)].map(([, instance]) => String(instance))
