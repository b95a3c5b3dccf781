import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { consulSettings } from '../../../src/discovery/consul/settings.ts'
import { createRegistration } from '../../../src/discovery/registration.ts'
import { consulSource } from '../../../src/discovery/sources/consul.ts'
import { createWatcher } from '../../../src/discovery/watcher.ts'
import type { Log } from '../../../src/observability/log.ts'
import { consulTest, startConsul } from '../../support/consul.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { atMost } from '../../support/figures.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} } as unknown as Log
const consulAt = (address: string) =>
  consulSettings.parse({ environment: { CONSUL_HTTP_ADDR: address }, urls: new Map() })

function watch(t: ExecutionContext, address: string) {
  const configured = { source: consulSource, options: consulAt(address) }
  const waiting = new Set<() => void>()
  const onChange = () => {
    for (const check of waiting) check()
  }
  const watcher = createWatcher({ configured: configured as never, log: silent, onChange })
  t.teardown(() => watcher.stop())
  watcher.start()
  const origins = () => watcher.snapshot()?.flatMap(({ instances }) => instances.map(({ origin }) => origin))
  /** Resolves once the snapshot's origins are these; milliseconds it took. */
  const shows = (...wanted: string[]) =>
    new Promise<number>((resolve) => {
      const startedAt = performance.now()
      const check = () => {
        if (origins()?.join() !== wanted.join()) return
        waiting.delete(check)
        resolve(performance.now() - startedAt)
      }
      waiting.add(check)
      check()
    })
  return { watcher, origins, shows }
}

const house = { name: 'auth', id: 'auth', address: '127.0.0.1', port: 8001, tags: ['gateway.enable=true'] }

consulTest('a Consul that appears after us is known within 5 s', async (t) => {
  const consul = await startConsul(t)
  await consul.kill()
  const { watcher, shows } = watch(t, consul.address)
  await sleep(1500)
  t.is(watcher.snapshot(), undefined)
  t.is(watcher.status().state, 'starting')
  await consul.restartEmpty()
  await consul.client.agent.service.register(house)
  t.true((await shows('http://127.0.0.1:8001')) < atMost(5000))
})

consulTest('an agent that was restarted empty has its services back soon, and is followed on', async (t) => {
  const consul = await startConsul(t)
  const registration = createRegistration({
    consul: consulAt(consul.address),
    service: {
      name: 'auth',
      id: 'auth-1',
      host: '127.0.0.1',
      port: 8001,
      tags: ['gateway.enable=true'],
      check: { path: '/', intervalMs: 60_000 },
    },
    log: silent,
  })
  t.teardown(() => registration.stop())
  await registration.start()
  const { shows } = watch(t, consul.address)
  await shows('http://127.0.0.1:8001')
  await consul.restartEmpty()
  await consul.client.agent.service.register({ ...house, name: 'mail', id: 'mail', port: 8002 })
  const took = await shows('http://127.0.0.1:8001', 'http://127.0.0.1:8002')
  t.true(took < atMost(10_000))
})

consulTest('a fault of every kind in a row wipes nothing, and is over when it is over', async (t) => {
  const consul = await startConsul(t)
  await consul.client.agent.service.register(house)
  const proxy = await startFaultProxy(t, consul.port)
  const { watcher, origins, shows } = watch(t, proxy.address)
  await shows('http://127.0.0.1:8001')
  for (const fault of [{ kind: 'status', status: 403 }, { kind: 'truncated' }, { kind: 'reset' }] as const) {
    proxy.set(fault)
    const seen = proxy.requests.length
    // A reply that is spoilt on its way needs one to be on its way.
    await consul.client.agent.service.register({ ...house, tags: [...house.tags, fault.kind] })
    while (watcher.status().state !== 'failing' || proxy.requests.length === seen) await sleep(20)
    t.deepEqual(origins(), ['http://127.0.0.1:8001'])
    proxy.set(undefined)
    while (watcher.status().state !== 'live') await sleep(20)
  }
  await consul.client.agent.service.register({ ...house, port: 8009 })
  t.true((await shows('http://127.0.0.1:8009')) < atMost(5000))
})
