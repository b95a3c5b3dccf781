import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { consulSettings } from '../../../src/discovery/consul/settings.ts'
import type { Service } from '../../../src/discovery/source.ts'
import { consulSource } from '../../../src/discovery/sources/consul.ts'
import { consulTest, startConsul, type TestConsul } from '../../support/consul.ts'
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts'
import { until } from '../../support/until.ts'
import { watchSource } from '../../support/watch-source.ts'

const optionsOf = ({ address }: { address: string }, connections?: number) => {
  const setting = connections === undefined ? {} : { CONSUL_MAX_CONNECTIONS: String(connections) }
  return consulSettings.parse({ environment: { CONSUL_HTTP_ADDR: address, ...setting }, urls: new Map() })
}
const namesOf = (count: number, from = 0) =>
  Array.from({ length: count }, (_, number) => `house${from + number}`)
const count = (wanted: number) => (services: readonly Service[]) => services.length === wanted
const at = (name: string, port: number) => (services: readonly Service[]) =>
  services.some((service) => service.name === name && service.instances[0]?.origin.endsWith(`:${port}`))

function register(consul: TestConsul, name: string, port = 8000): Promise<unknown> {
  const service = { id: name, name, address: '127.0.0.1', port, tags: ['gateway.enable=true'] }
  return consul.client.agent.service.register(service)
}

/** A few at a time, so that the test itself does not come near the agent's limit of connections. */
async function registerAll(consul: TestConsul, names: readonly string[]): Promise<void> {
  const left = names.values()
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (const name of left) await register(consul, name)
    }),
  )
}

/** The most connections that were open at once. One that its client has just closed may be seen for a moment more. */
function countConnections(t: ExecutionContext, proxy: FaultProxy): { readonly most: () => number } {
  let most = 0
  let before = 0
  let isOver = false
  t.teardown(() => {
    isOver = true
  })
  const look = async () => {
    while (!isOver) {
      const now = await proxy.connections()
      most = Math.max(most, Math.min(before, now))
      before = now
      await sleep(10)
    }
  }
  void look()
  return { most: () => most }
}

const asked = ({ requests }: FaultProxy, from = 0) =>
  requests.slice(from).flatMap(({ path }) => /^\/v1\/health\/service\/(\w+)/.exec(path)?.[1] ?? [])

consulTest('300 services are followed through an agent with its default limits', async (t) => {
  const consul = await startConsul(t)
  const proxy = await startFaultProxy(t, consul.port)
  const connections = countConnections(t, proxy)
  await registerAll(consul, namesOf(300))
  const watched = watchSource(t, consulSource, optionsOf(proxy))
  t.is((await watched.until(() => true)).length, 300)

  const delays: number[] = []
  async function isKnown(change: Promise<unknown>, predicate: (services: readonly Service[]) => boolean) {
    const startedAt = performance.now()
    await change
    await watched.until(predicate)
    delays.push(performance.now() - startedAt)
  }
  for (const name of ['house0', 'house99', 'house150', 'house299']) {
    await isKnown(register(consul, name, 9000), at(name, 9000))
  }
  await isKnown(register(consul, 'late', 9000), at('late', 9000))
  const seen = watched.snapshots.length
  await consul.client.agent.service.deregister('house7')
  await watched.until((services) => services.length === 300, seen)

  t.log(`changes known after ${delays.map(Math.round).join(', ')} ms; ${connections.most()} connections`)
  t.deepEqual(watched.warnings, [])
  t.true(connections.most() <= 128, `${connections.most()} connections`)
  t.true(connections.most() > 64, `${connections.most()} connections: the count sees nothing`)
})

consulTest(
  'services that outgrow the connections take turns at once, and nobody is told of a fault',
  async (t) => {
    const consul = await startConsul(t)
    const proxy = await startFaultProxy(t, consul.port)
    const connections = countConnections(t, proxy)
    const few = namesOf(3)
    await registerAll(consul, few)
    const watched = watchSource(t, consulSource, optionsOf(proxy, 4))
    await watched.until(count(3))
    // Each of the three waits for a change, for up to 55 s.
    await until(() => asked(proxy).length >= 6, 'every service has its line')

    await registerAll(consul, namesOf(17, 3))
    await watched.until(count(20))
    const from = proxy.requests.length
    await until(() => new Set(asked(proxy, from)).size === 20, 'everybody is asked')
    await register(consul, 'house1', 9000)
    await watched.until(at('house1', 9000))

    t.deepEqual(watched.warnings, [])
    t.is(connections.most(), 4)
  },
)

consulTest('services that have become few enough wait long again', async (t) => {
  const consul = await startConsul(t)
  const proxy = await startFaultProxy(t, consul.port)
  await registerAll(consul, namesOf(5))
  const watched = watchSource(t, consulSource, optionsOf(proxy, 4))
  await watched.until(count(5))
  await Promise.all(['house0', 'house1'].map((name) => consul.client.agent.service.deregister(name)))
  await watched.until(count(3), watched.snapshots.length)
  const from = proxy.requests.length
  const waits = () =>
    new Set(proxy.requests.slice(from).flatMap(({ path }) => (/wait=55000ms/.test(path) ? path : [])))
  await until(() => waits().size >= 3, 'long waits')
  t.deepEqual(watched.warnings, [])
})

consulTest(
  'an agent that allows fewer connections is told of for each service, and its catalog is followed on',
  async (t) => {
    const consul = await startConsul(t, { config: { limits: { http_max_conns_per_client: 20 } } })
    await registerAll(consul, namesOf(60))
    const watched = watchSource(t, consulSource, optionsOf(consul, 30))
    await watched.until(() => true)
    t.regex(await watched.warned(/house/), /GET \/v1\/health\/service\/house\d+: /)
    const without = (services: readonly Service[]) => services.every(({ name }) => name !== 'house0')
    // The test's own call needs a connection too.
    const leave = () =>
      consul.client.agent.service.deregister('house0').then(
        () => true,
        () => false,
      )
    const seen = watched.snapshots.length
    await until(leave, 'a connection is free')
    await watched.until(without, seen)
    t.pass()
  },
)
