import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { consulSettings } from '../../src/discovery/consul/settings.ts'
import { createRegistration, type RegistrationOptions } from '../../src/discovery/registration.ts'
import { consulSource } from '../../src/discovery/sources/consul.ts'
import type { Log } from '../../src/observability/log.ts'
import { consulTest, startConsul, type TestConsul } from '../support/consul.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { atMost } from '../support/figures.ts'
import { listenOnOwnPort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { watchSource } from '../support/watch-source.ts'

const consulAt = (address: string) =>
  consulSettings.parse({ environment: { CONSUL_HTTP_ADDR: address }, urls: new Map() })

/** A process with a health endpoint that can be made ill. */
async function startHouse(t: ExecutionContext) {
  let status = 200
  const server = createServer((_request, reply) => reply.writeHead(status).end())
  const port = await listenOnOwnPort(server)
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    port,
    answer(next: number) {
      status = next
    },
  }
}

function makeRegistration(
  t: ExecutionContext,
  address: string,
  port: number,
  more: Partial<RegistrationOptions> = {},
) {
  const lines: string[] = []
  const note = (_fields: unknown, message: string) => void lines.push(message)
  const log = { debug: note, info: note, warn: note, error: note } as unknown as Log
  const registration = createRegistration({
    consul: consulAt(address),
    service: {
      name: 'auth',
      id: `auth-${port}`,
      host: '127.0.0.1',
      port,
      tags: ['gateway.enable=true', 'gateway.path=/api/users'],
      meta: { version: '1' },
      check: { path: '/health', intervalMs: 1000 },
    },
    log,
    backoff: { firstMs: 50, mostMs: 200 },
    ...more,
  })
  t.teardown(() => registration.stop())
  return { ...registration, lines }
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  await until(() => holds().catch(() => false), what)
}

const isKnown = async ({ client }: TestConsul, id: string) => id in (await client.agent.service.list())
const checkOf = async ({ port }: TestConsul) =>
  (await (await fetch(`http://127.0.0.1:${port}/v1/health/checks/auth`)).json()) as {
    Status: string
  }[]

consulTest('a service that registers is found at once, with its tags and meta', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  const watched = watchSource(t, consulSource, consulAt(consul.address))
  await watched.until((services) => services.length === 0)
  const startedAt = performance.now()
  await makeRegistration(t, consul.address, house.port).start()
  const [auth] = await watched.until((services) => services[0]?.instances.length === 1)
  t.true(performance.now() - startedAt < atMost(1000))
  t.is(auth?.instances[0]?.origin, `http://127.0.0.1:${house.port}`)
  t.deepEqual(auth?.description, { enable: true, path: ['/api/users'] })
  const services = await consul.client.agent.service.list()
  t.deepEqual(services[`auth-${house.port}`].Meta, { version: '1' })
})

consulTest('it is registered with a check that Consul itself makes', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  await makeRegistration(t, consul.address, house.port).start()
  house.answer(500)
  await eventually('a critical check', async () => (await checkOf(consul))[0]?.Status === 'critical')
  house.answer(200)
  await eventually('a passing check', async () => (await checkOf(consul))[0]?.Status === 'passing')
  t.pass()
})

consulTest(
  'a service whose check fails is to be forgotten after a minute, the least that Consul takes',
  async (t) => {
    const [consul, house] = [await startConsul(t), await startHouse(t)]
    const proxy = await startFaultProxy(t, consul.port)
    const service = {
      name: 'auth',
      id: 'auth-1',
      host: '127.0.0.1',
      port: house.port,
      check: { path: '/health', deregisterAfterMs: 10 },
    }
    await makeRegistration(t, proxy.address, house.port, { service }).start()
    const { body } = proxy.requests.find(({ path }) => path === '/v1/agent/service/register') ?? {}
    t.is(JSON.parse(body ?? '').Check.DeregisterCriticalServiceAfter, '60000ms')
  },
)

consulTest('a process that is not ready starts as critical and passes by its first check', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  house.answer(503)
  await makeRegistration(t, consul.address, house.port, { ready: () => false }).start()
  await eventually('the check', async () => (await checkOf(consul)).length === 1)
  t.is((await checkOf(consul))[0]?.Status, 'critical')
  house.answer(200)
  await eventually('a passing check', async () => (await checkOf(consul))[0]?.Status === 'passing')
})

consulTest('stop deregisters', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  const registration = makeRegistration(t, consul.address, house.port)
  await registration.start()
  await registration.stop()
  t.deepEqual(await consul.client.agent.service.list(), {})
})

consulTest('stop before start, and twice, does nothing', async (t) => {
  const registration = makeRegistration(t, '127.0.0.1:1', 8001)
  await registration.stop()
  await registration.stop()
  t.deepEqual(registration.lines, [])
})

consulTest('stop takes 2 s at most though the agent is frozen, and does not throw', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  const registration = makeRegistration(t, consul.address, house.port)
  await registration.start()
  consul.freeze()
  const startedAt = performance.now()
  await registration.stop()
  t.true(performance.now() - startedAt < atMost(3000))
  t.regex(registration.lines.at(-1) ?? '', /could not be deregistered: Consul: PUT .*timed out/)
})

consulTest('it registers again when somebody deregisters it', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  await makeRegistration(t, consul.address, house.port).start()
  await consul.client.agent.service.deregister(`auth-${house.port}`)
  await eventually('the registration', () => isKnown(consul, `auth-${house.port}`))
  t.pass()
})

consulTest('it registers again with an agent that was restarted empty', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  await makeRegistration(t, consul.address, house.port).start()
  await consul.restartEmpty()
  await eventually('the registration', () => isKnown(consul, `auth-${house.port}`))
  t.pass()
})

consulTest('it keeps trying while Consul is away, and says so once', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  await consul.kill()
  const registration = makeRegistration(t, consul.address, house.port)
  const started = registration.start()
  await sleep(500)
  await consul.restartEmpty()
  await started
  t.true(await isKnown(consul, `auth-${house.port}`))
  t.is(registration.lines.filter((line) => /will be tried again: .*ECONNREFUSED/.test(line)).length, 1)
})

consulTest('a connection that is lost does not register anew what the agent still has', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  const proxy = await startFaultProxy(t, consul.port)
  await makeRegistration(t, proxy.address, house.port).start()
  const asked = () => proxy.requests.filter(({ path }) => path.startsWith('/v1/agent/service/auth-'))
  await eventually('the waiting query', async () => asked().some(({ path }) => path.includes('hash=')))
  const before = asked().length
  proxy.set({ kind: 'reset' })
  proxy.set(undefined)
  await eventually('the next waiting query', async () =>
    asked()
      .slice(before)
      .some(({ path }) => path.includes('hash=')),
  )
  t.is(proxy.requests.filter(({ path }) => path === '/v1/agent/service/register').length, 1)
})

consulTest('the signal ends it; stop still deregisters', async (t) => {
  const [consul, house] = [await startConsul(t), await startHouse(t)]
  const registration = makeRegistration(t, consul.address, house.port)
  const controller = new AbortController()
  await registration.start(controller.signal)
  controller.abort()
  await registration.stop()
  t.deepEqual(await consul.client.agent.service.list(), {})
})
