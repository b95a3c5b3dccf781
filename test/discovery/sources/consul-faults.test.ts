import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { consulSettings } from '../../../src/discovery/consul/settings.ts'
import type { Service } from '../../../src/discovery/source.ts'
import { consulSource } from '../../../src/discovery/sources/consul.ts'
import { consulTest, startConsul, type TestConsul } from '../../support/consul.ts'
import { type Fault, type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts'
import { atMost } from '../../support/figures.ts'
import { until } from '../../support/until.ts'
import { watchSource } from '../../support/watch-source.ts'

const optionsOf = ({ address }: { address: string }) =>
  consulSettings.parse({ environment: { CONSUL_HTTP_ADDR: address }, urls: new Map() })
const names = (services: readonly Service[]) => services.map(({ name }) => name).sort()
const both = (services: readonly Service[]) =>
  services.length === 2 && services.every(({ instances }) => instances.length > 0)
const onlyCatalog = (path: string) => path.startsWith('/v1/catalog/')
const onlyAuth = (path: string) => path.startsWith('/v1/health/service/auth')

function register(consul: TestConsul, name: string, port: number, id = name): Promise<unknown> {
  const service = { id, name, address: '127.0.0.1', port, tags: ['gateway.enable=true'] }
  return consul.client.agent.service.register(service)
}

interface Setting {
  readonly consul: TestConsul
  readonly proxy: FaultProxy
}

/** A Consul that knows `auth` and `mail`, and a proxy that can break the way to it. */
async function arrange(t: ExecutionContext): Promise<Setting> {
  const consul = await startConsul(t)
  await Promise.all([register(consul, 'auth', 8001), register(consul, 'mail', 8002)])
  return { consul, proxy: await startFaultProxy(t, consul.port) }
}

const status = (code: number): Fault => ({ kind: 'status', status: code })
const header = (value: string | undefined): Fault => ({
  kind: 'headers',
  headers: { 'x-consul-index': value },
})

const catalogFaults: readonly (readonly [string, Fault, RegExp])[] = [
  ['400', status(400), /400 injected/],
  ['403', status(403), /403 injected/],
  ['500', status(500), /500 injected/],
  ['a reset', { kind: 'reset' }, /ECONNRESET|socket hang up/],
  ['a reply that is cut off', { kind: 'truncated' }, /the reply was cut off/],
  ['half of the JSON', { kind: 'halved' }, /JSON/],
  ['a reply without an index', header(undefined), /without a usable X-Consul-Index \(none\)/],
  ['an index of zero', header('0'), /without a usable X-Consul-Index \(0\)/],
  ['an index that is no number', header('12x'), /without a usable X-Consul-Index \(12x\)/],
]

for (const [what, fault, message] of catalogFaults) {
  consulTest(`${what} for the catalog ends the watch with an error and wipes nothing`, async (t) => {
    const { consul, proxy } = await arrange(t)
    const watched = watchSource(t, consulSource, optionsOf(proxy))
    await watched.until(both)
    proxy.set(fault, onlyCatalog)
    await register(consul, 'shop', 8003)
    const error = await watched.ended
    t.regex(error?.message ?? 'no error', /^Consul: GET \/v1\/catalog\/services: /)
    t.regex(error?.message ?? '', message)
    t.true(watched.snapshots.every(both))
  })
}

for (const [what, fault, message] of catalogFaults) {
  consulTest(`${what} for one service keeps what is known of it, blinds no other, and heals`, async (t) => {
    const { consul, proxy } = await arrange(t)
    const watched = watchSource(t, consulSource, optionsOf(proxy))
    await watched.until(both)
    proxy.set(fault, onlyAuth)
    await register(consul, 'auth', 8001, 'auth-2')
    const warning = await watched.warned(/auth/)
    t.regex(warning, /^consul: auth: its last known instances stay: Consul: GET \/v1\/health\/service\/auth/)
    t.regex(warning, message)
    await consul.client.agent.service.deregister('auth-2')
    await register(consul, 'mail', 9002, 'mail-2')
    await watched.until((services) =>
      services.some(({ instances }) => instances.length === 2 && both(services)),
    )
    proxy.set(undefined)
    await register(consul, 'auth', 9001)
    await watched.until((services) =>
      services.some(({ instances }) => instances[0]?.origin === 'http://127.0.0.1:9001'),
    )
    t.true(watched.snapshots.every(both))
  })
}

consulTest('a watch that starts again while one service fails publishes what was known of it', async (t) => {
  const { proxy } = await arrange(t)
  const before = watchSource(t, consulSource, optionsOf(proxy))
  const known = await before.until(both)
  await before.stop()
  proxy.set(status(500), onlyAuth)
  const watched = watchSource(t, consulSource, optionsOf(proxy), known)
  t.deepEqual(names(await watched.until(() => true)), ['auth', 'mail'])
})

consulTest('where no service answers from the start, nothing is published and the watch fails', async (t) => {
  const { proxy } = await arrange(t)
  proxy.set(status(500), (path) => path.startsWith('/v1/health/'))
  const watched = watchSource(t, consulSource, optionsOf(proxy))
  t.regex((await watched.ended)?.message ?? '', /^Consul: GET \/v1\/health\/service\/\w+: 500/)
  t.deepEqual(watched.snapshots, [])
})

consulTest('an index that goes backwards starts anew at 0', async (t) => {
  const { consul, proxy } = await arrange(t)
  const watched = watchSource(t, consulSource, optionsOf(proxy))
  await watched.until(both)
  proxy.set(header('1'), onlyCatalog)
  const seen = proxy.requests.length
  await register(consul, 'shop', 8003)
  await watched.until((services) => names(services).includes('shop'))
  proxy.set(undefined)
  await register(consul, 'cart', 8004)
  await watched.until((services) => names(services).includes('cart'))
  const indexes = proxy.requests
    .slice(seen)
    .filter(({ path }) => onlyCatalog(path))
    .map(({ path }) => new URLSearchParams(path.split('?')[1]).get('index'))
  t.true(indexes.includes('0'), indexes.join())
  t.deepEqual(watched.warnings, [])
})

consulTest('a churning catalog is asked once a second, and its last word is known soon', async (t) => {
  const { consul, proxy } = await arrange(t)
  const watched = watchSource(t, consulSource, optionsOf(proxy))
  await watched.until(both)
  const startedAt = performance.now()
  const seconds = 6
  let changes = 0
  async function churn(worker: number): Promise<void> {
    for (let round = 0; performance.now() - startedAt < seconds * 1000; round++) {
      // Eight workers with 125 changes a second each; a slow machine makes as many as it can.
      await sleep(Math.max(0, startedAt + round * 8 - performance.now()))
      const id = `auth-${worker}`
      const service = {
        id,
        name: 'auth',
        address: '127.0.0.1',
        port: 8100 + (round % 100),
        tags: [`gateway.enable=true`, `v${round}`],
      }
      await consul.client.agent.service.register(service)
      changes++
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, worker) => churn(worker)))
  const elapsed = (performance.now() - startedAt) / 1000
  const asked = proxy.requests.filter(({ path, at }) => onlyCatalog(path) && at >= startedAt).length
  t.log(
    `${Math.round(changes / elapsed)} changes a second; ${asked} catalog requests in ${elapsed.toFixed(1)} s`,
  )
  t.true(changes > 3 * asked, 'no churn to speak of')
  t.true(asked <= elapsed + 4, `${asked} catalog requests in ${elapsed} s`)
  const endedAt = performance.now()
  await register(consul, 'shop', 8003)
  await watched.until((services) => names(services).includes('shop'))
  t.true(performance.now() - endedAt < atMost(2500))
})

consulTest('aborting ends the watch at once and leaves no connection', async (t) => {
  const { proxy } = await arrange(t)
  const watched = watchSource(t, consulSource, optionsOf(proxy))
  await watched.until(both)
  const startedAt = performance.now()
  t.is(await watched.stop(), undefined)
  t.true(performance.now() - startedAt < 45_000)
  await until(async () => (await proxy.connections()) === 0, 'no connection is left')
})

consulTest('aborting a watch that waits for a frozen agent ends it at once', async (t) => {
  const { proxy } = await arrange(t)
  proxy.set({ kind: 'frozen' })
  const watched = watchSource(t, consulSource, optionsOf(proxy))
  while (proxy.requests.length === 0) await new Promise(setImmediate)
  const startedAt = performance.now()
  t.is(await watched.stop(), undefined)
  t.true(performance.now() - startedAt < 45_000)
})

consulTest('an agent that is frozen and thawed is followed on, and wipes nothing', async (t) => {
  const { consul } = await arrange(t)
  const watched = watchSource(t, consulSource, optionsOf(consul))
  await watched.until(both)
  consul.freeze()
  const registered = register(consul, 'shop', 8003)
  await sleep(1000)
  t.true(watched.snapshots.every(both))
  consul.thaw()
  await registered
  await watched.until((services) => names(services).join() === 'auth,mail,shop')
  t.deepEqual(watched.warnings, [])
})

consulTest('an agent that dies ends the watch with an error that names it', async (t) => {
  const { consul } = await arrange(t)
  const watched = watchSource(t, consulSource, optionsOf(consul))
  await watched.until(both)
  await consul.kill()
  t.regex(
    (await watched.ended)?.message ?? '',
    /^Consul: GET \/v1\/catalog\/services: .*(?:ECONN|hang up|cut off)/,
  )
  t.true(watched.snapshots.every(both))
  const again = watchSource(t, consulSource, optionsOf(consul))
  t.regex((await again.ended)?.message ?? '', /^Consul: GET \/v1\/catalog\/services: connect ECONNREFUSED/)
})
