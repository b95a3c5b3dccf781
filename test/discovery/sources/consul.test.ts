import { consulSettings } from '../../../src/discovery/consul/settings.ts'
import type { Service } from '../../../src/discovery/source.ts'
import { consulSource } from '../../../src/discovery/sources/consul.ts'
import { consulTest, startConsul, type TestConsul } from '../../support/consul.ts'
import { atMost } from '../../support/figures.ts'
import { watchSource } from '../../support/watch-source.ts'

const settings = (environment: Record<string, string>) =>
  consulSettings.parse({ environment, urls: new Map() })
const optionsOf = ({ address }: TestConsul) => settings({ CONSUL_HTTP_ADDR: address })
const named = (name: string) => (services: readonly Service[]) =>
  services.some((service) => service.name === name)
const find = (services: readonly Service[], name: string) => services.find((service) => service.name === name)
const withInstances = (name: string, count: number) => (services: readonly Service[]) =>
  find(services, name)?.instances.length === count

const enable = 'gateway.enable=true'

function register(consul: TestConsul, id: string, tags: string[], rest: object = {}): Promise<unknown> {
  const service = { id, name: id.replace(/-\d+$/, ''), address: '127.0.0.1', port: 8000, tags, ...rest }
  return consul.client.agent.service.register(service)
}

const checked = (status: 'passing' | 'critical', checkid: string) => ({
  check: { name: 'lives', checkid, ttl: '600s', timeout: '1s', status },
})

consulTest('a service is found by its tag, with its passing instances', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable, 'gateway.path=/api/users', 'gateway.path=/api/user'], {
    port: 8001,
  })
  await register(
    consul,
    'auth-2',
    ['gateway.PATH=/api/user', 'gateway.path=/api/users', 'Gateway.Enable=true'],
    { port: 8002 },
  )
  await register(consul, 'auth-3', [enable, 'gateway.path=/api/users', 'gateway.path=/api/user'], {
    port: 8003,
    ...checked('critical', 'auth-3'),
  })
  await register(consul, 'hidden-1', ['gateway.path=/api/hidden'])
  await register(consul, 'closed-1', ['gateway.enable=false'])
  const watched = watchSource(t, consulSource, optionsOf(consul))
  const [auth, ...others] = await watched.until(() => true)
  t.deepEqual(others, [])
  t.is(auth?.name, 'auth')
  t.deepEqual(auth?.instances.map(({ origin }) => origin).sort(), [
    'http://127.0.0.1:8001',
    'http://127.0.0.1:8002',
  ])
  t.deepEqual(auth?.instances.map(({ id }) => id.replace(/@.*/, '')).sort(), ['auth-1', 'auth-2'])
  t.deepEqual(auth?.description.path?.toSorted(), ['/api/user', '/api/users'])
  t.deepEqual(watched.warnings, [])
})

consulTest('the first snapshot is complete', async (t) => {
  const consul = await startConsul(t)
  const names = Array.from({ length: 20 }, (_, number) => `house${number}`)
  await Promise.all(names.map((name) => register(consul, `${name}-1`, [enable])))
  const watched = watchSource(t, consulSource, optionsOf(consul))
  const first = await watched.until(() => true)
  t.deepEqual(first.map(({ name }) => name).sort(), names.sort())
  t.true(first.every(({ instances }) => instances.length === 1))
})

consulTest('a lone change is known at once', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable])
  const watched = watchSource(t, consulSource, optionsOf(consul))
  await watched.until(named('auth'))
  const delays: number[] = []
  for (const count of [2, 3, 4, 5, 6]) {
    const startedAt = performance.now()
    await register(consul, `auth-${count}`, [enable], { port: 8000 + count })
    await watched.until(withInstances('auth', count))
    delays.push(performance.now() - startedAt)
  }
  t.log(`delays: ${delays.map((delay) => delay.toFixed(1)).join(', ')} ms`)
  // Some 10 ms on an idle machine; the rest is for one that runs many tests at once.
  t.true(delays.sort((a, b) => a - b)[2]! < atMost(500))
})

consulTest('an instance that turns critical leaves and comes back; the route stays', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable, 'gateway.auth=none'], checked('passing', 'auth-1'))
  const watched = watchSource(t, consulSource, optionsOf(consul))
  await watched.until(withInstances('auth', 1))
  await consul.client.agent.check.fail('auth-1')
  const without = await watched.until(withInstances('auth', 0))
  t.is(find(without, 'auth')?.description.auth, 'none')
  const seen = watched.snapshots.length
  await consul.client.agent.check.pass('auth-1')
  await watched.until(withInstances('auth', 1), seen)
  t.pass()
})

consulTest(
  'a service whose every instance is critical from the start has its route and no instance',
  async (t) => {
    const consul = await startConsul(t)
    await register(consul, 'auth-1', [enable, 'gateway.path=/api/users'], checked('critical', 'auth-1'))
    const watched = watchSource(t, consulSource, optionsOf(consul))
    const [auth] = await watched.until(() => true)
    const description = { enable: true, path: ['/api/users'] }
    // How old it is nobody says: no other has to yield to it.
    t.deepEqual(auth, { name: 'auth', instances: [], description, since: Number.MAX_SAFE_INTEGER })
  },
)

consulTest('weights are those that Consul has for the state of the checks', async (t) => {
  const consul = await startConsul(t)
  // The package does not pass weights on.
  const registerWeighted = async (id: string, port: number, status: string, weights?: object) => {
    const reply = await fetch(`http://${consul.address}/v1/agent/service/register`, {
      method: 'PUT',
      body: JSON.stringify({
        ...{ ID: id, Name: 'auth', Address: '127.0.0.1', Port: port, Tags: [enable], Weights: weights },
        Check: { CheckID: id, Name: 'lives', TTL: '600s', Status: status },
      }),
    })
    t.is(reply.status, 200)
  }
  const weights = { Passing: 10, Warning: 2 }
  await registerWeighted('auth-1', 8001, 'passing', weights)
  await registerWeighted('auth-2', 8002, 'warning', weights)
  await registerWeighted('auth-3', 8003, 'warning')
  await registerWeighted('auth-4', 8004, 'critical', weights)
  const watched = watchSource(t, consulSource, optionsOf(consul))
  const weightsOf = (services: readonly Service[]) =>
    Object.fromEntries(
      (find(services, 'auth')?.instances ?? []).map(({ id, weight }) => [id.replace(/@.*/, ''), weight]),
    )
  t.deepEqual(weightsOf(await watched.until(() => true)), {
    'auth-1': 10,
    'auth-2': 2,
    'auth-3': undefined,
  })
  await consul.client.agent.check.warn('auth-1')
  await watched.until((services) => weightsOf(services)['auth-1'] === 2)
})

consulTest('a service that is deregistered or opts out disappears', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable])
  await register(consul, 'mail-1', [enable])
  const watched = watchSource(t, consulSource, optionsOf(consul))
  await watched.until((services) => services.length === 2)
  await consul.client.agent.service.deregister('auth-1')
  await watched.until((services) => services.length === 1 && named('mail')(services))
  await register(consul, 'mail-1', [])
  await watched.until((services) => services.length === 0)
  t.pass()
})

consulTest('Meta supplies the keys that no tag mentions, but cannot opt in', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable, 'gateway.auth=none'], {
    meta: { 'gateway-auth': 'required', 'Gateway-Path': '/api/users', version: '1' },
  })
  await register(consul, 'meta-1', [], { meta: { 'gateway-enable': 'true' } })
  const watched = watchSource(t, consulSource, optionsOf(consul))
  const services = await watched.until(() => true)
  t.deepEqual(
    services.map(({ name, description }) => [name, description]),
    [['auth', { enable: true, auth: 'none', path: ['/api/users'] }]],
  )
})

consulTest('a bad tag keeps the last good description, and is named once', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable, 'gateway.auth=optional'])
  const watched = watchSource(t, consulSource, optionsOf(consul))
  await watched.until(named('auth'))
  await register(consul, 'auth-1', [enable, 'gateway.auth=nonee'], { port: 8009 })
  const after = await watched.until(
    (services) => find(services, 'auth')?.instances[0]?.origin === 'http://127.0.0.1:8009',
  )
  t.is(find(after, 'auth')?.description.auth, 'optional')
  const seen = watched.snapshots.length
  await register(consul, 'auth-1', [enable, 'gateway.auth=nonee'], { port: 8010 })
  await watched.until(
    (services) => find(services, 'auth')?.instances[0]?.origin === 'http://127.0.0.1:8010',
    seen,
  )
  t.deepEqual(watched.warnings, [
    'consul: service auth, instance auth-1: tag "gateway.auth=nonee": expected none, optional or required',
  ])
})

consulTest('a service that never said anything legible is not published', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable, 'gateway.auth=nonee', 'gateway.pth=/api/users'])
  await register(consul, 'mail-1', ['gateway.enable=ture'])
  await register(consul, 'shop-1', [enable])
  const watched = watchSource(t, consulSource, optionsOf(consul))
  t.deepEqual(
    (await watched.until(() => true)).map(({ name }) => name),
    ['shop'],
  )
  const warnings = watched.warnings.join('\n')
  t.regex(
    warnings,
    /service auth, instance auth-1: tag "gateway\.auth=nonee": expected none, optional or required/,
  )
  t.regex(
    warnings,
    /instance auth-1: tag "gateway\.pth=\/api\/users": expected one of .*path.*did you mean `path`/,
  )
  t.regex(warnings, /service mail, instance mail-1: tag "gateway\.enable=ture": expected true or false/)
  await register(consul, 'auth-1', [enable, 'gateway.auth=none', 'gateway.path=/api/users'])
  const services = await watched.until(named('auth'))
  t.is(find(services, 'auth')?.description.auth, 'none')
})

consulTest('instances that disagree keep the last agreement until they agree again', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable, 'gateway.path=/old'])
  await register(consul, 'auth-2', [enable, 'gateway.path=/old'])
  const watched = watchSource(t, consulSource, optionsOf(consul))
  await watched.until(withInstances('auth', 2))
  await register(consul, 'auth-3', [enable, 'gateway.path=/new'])
  await register(consul, 'auth-1', [enable, 'gateway.path=/new'])
  const mixed = await watched.until(withInstances('auth', 3))
  t.deepEqual(find(mixed, 'auth')?.description.path, ['/old'])
  t.regex(await watched.warned(/disagree/), /service auth: its instances disagree .*the last agreement holds/)
  await consul.client.agent.service.deregister('auth-2')
  const agreed = await watched.until((services) => find(services, 'auth')?.description.path?.[0] === '/new')
  t.is(find(agreed, 'auth')?.instances.length, 2)
})

consulTest('at first sight the majority speaks, and of equals the oldest instance', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'most-1', [enable, 'gateway.path=/one'])
  await register(consul, 'most-2', [enable, 'gateway.path=/two'])
  await register(consul, 'most-3', [enable, 'gateway.path=/two'])
  // The agent syncs services in no given order: the older one must be in the catalog before the younger comes.
  await register(consul, 'even-2', [enable, 'gateway.path=/old'])
  while ((await consul.client.catalog.service.nodes('even')).length === 0) await new Promise(setImmediate)
  await register(consul, 'even-1', [enable, 'gateway.path=/new'])
  while ((await consul.client.catalog.service.nodes('even')).length === 1) await new Promise(setImmediate)
  while ((await consul.client.catalog.service.nodes('most')).length < 3) await new Promise(setImmediate)
  const watched = watchSource(t, consulSource, optionsOf(consul))
  const services = await watched.until(() => true)
  t.deepEqual(find(services, 'most')?.description.path, ['/two'])
  t.deepEqual(find(services, 'even')?.description.path, ['/old'])
})

consulTest('protocol, port, IPv6 and the address of the node make the origin', async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'tls-1', [enable, 'gateway.protocol=https'], { address: 'house.example', port: 443 })
  await register(consul, 'six-1', [enable], { address: '::1', port: 8001 })
  await register(consul, 'node-1', [enable], { address: '', port: 8002 })
  await register(consul, 'port-1', [enable, 'gateway.port=9000'])
  await register(consul, 'zero-1', [enable], { port: 0 })
  await register(consul, 'evil-1', [enable], { address: 'a.example/x?' })
  const watched = watchSource(t, consulSource, optionsOf(consul))
  const services = await watched.until(() => true)
  const origins = services.map(({ name, instances }) => [name, instances[0]?.origin])
  t.deepEqual(Object.fromEntries(origins), {
    tls: 'https://house.example',
    six: 'http://[::1]:8001',
    node: 'http://127.0.0.1:8002',
    port: 'http://127.0.0.1:9000',
    zero: undefined,
    evil: undefined,
  })
  const warnings = watched.warnings.join('\n')
  t.regex(
    warnings,
    /service zero, instance zero-1 is left out: found port 0, expected a port from 1 to 65535/,
  )
  t.regex(
    warnings,
    /instance evil-1 is left out: found address "a\.example\/x\?", expected an IP address or a host name/,
  )
})

consulTest("the mesh's own proxies, which carry their service's tags, are no services", async (t) => {
  const consul = await startConsul(t)
  await register(consul, 'auth-1', [enable])
  const sidecar = {
    Name: 'auth-sidecar-proxy',
    Kind: 'connect-proxy',
    Port: 21000,
    Tags: [enable],
    Proxy: { DestinationServiceName: 'auth' },
  }
  const url = `http://${consul.address}/v1/agent/service/register`
  t.is((await fetch(url, { method: 'PUT', body: JSON.stringify(sidecar) })).status, 200)
  while (!((await consul.client.catalog.service.list())['auth-sidecar-proxy'] ?? []).includes(enable)) {
    await new Promise(setImmediate)
  }
  const watched = watchSource(t, consulSource, optionsOf(consul))
  t.deepEqual(
    (await watched.until(() => true)).map(({ name }) => name),
    ['auth'],
  )
})

consulTest('the token opens a closed catalog; a wrong one is an error that does not show it', async (t) => {
  const token = 'd3bd6a5c-0000-4a54-9a0c-3f5a6d3c1b2a'
  const acl = { enabled: true, default_policy: 'deny', tokens: { master: token, agent: token } }
  const consul = await startConsul(t, { config: { acl, primary_datacenter: 'dc1' } })
  const environment = { CONSUL_HTTP_ADDR: consul.address, CONSUL_HTTP_TOKEN: token, CONSUL_DATACENTER: 'dc1' }
  const service = { name: 'auth', port: 8001, address: '127.0.0.1', tags: [enable], token }
  await consul.client.agent.service.register(service)
  const watched = watchSource(t, consulSource, settings(environment))
  await watched.until(named('auth'))

  const wrong = 'ffffffff-0000-4a54-9a0c-3f5a6d3c1b2a'
  const refused = watchSource(t, consulSource, settings({ ...environment, CONSUL_HTTP_TOKEN: wrong }))
  const error = await refused.ended
  t.regex(error?.message ?? '', /^Consul: GET \/v1\/catalog\/services: 403 /)
  t.false(`${error?.stack}${JSON.stringify(error)}`.includes(wrong))
  t.deepEqual(refused.snapshots, [])
})

consulTest(
  'a service is as old as its oldest instance, and grows no younger when that is replaced',
  async (t) => {
    const consul = await startConsul(t)
    await register(consul, 'zed-1', [enable])
    await register(consul, 'aaa-1', [enable])
    const watched = watchSource(t, consulSource, optionsOf(consul))
    const isOlder = (services: readonly Service[]) =>
      find(services, 'zed')!.since! < find(services, 'aaa')!.since!
    t.true(isOlder(await watched.until(() => true)))
    await register(consul, 'zed-2', [enable])
    await watched.until(withInstances('zed', 2))
    await consul.client.agent.service.deregister('zed-1')
    const rolled = (services: readonly Service[]) =>
      find(services, 'zed')?.instances[0]?.id.startsWith('zed-2')
    t.true(isOlder(await watched.until((services) => rolled(services) === true)))
  },
)
