import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import type { DiscoverySource, Service, SourceInput } from '../../../src/discovery/source.ts'
import { discoverySources } from '../../../src/discovery/sources/index.ts'
import { calmTest as test } from '../../support/calm.ts'
import { consulTest, startConsul, type TestConsul } from '../../support/consul.ts'
import { startDnsServer } from '../../support/dns-server.ts'
import { atMost } from '../../support/figures.ts'
import { startKubernetesApi } from '../../support/kubernetes-api.ts'
import { addresses, service } from '../../support/kubernetes-objects.ts'
import { watchSource } from '../../support/watch-source.ts'

/** What every source is tried on: the services `auth`, with one instance, and `users`, with two. */
interface World {
  readonly input: SourceInput
  /** Adds an instance of `auth`, where the world can change at all. */
  readonly grow?: () => unknown
  /** Takes away what the source learns from, where there is such a thing. */
  readonly silence?: () => unknown
}

interface Fixture {
  /** Registers a test that can only run where the world can be had. */
  readonly test: (title: string, run: (t: ExecutionContext) => Promise<void>) => void
  start(t: ExecutionContext): Promise<World>
  /** Whether the world has `grow` and `silence`. */
  readonly changes: boolean
  readonly bad: { readonly variable: string; readonly input: SourceInput }
}

const fixtures: Record<keyof typeof discoverySources, Fixture> = {
  static: {
    test,
    changes: false,
    async start() {
      return {
        input: input(
          {},
          {
            auth: ['http://127.0.0.1:8001'],
            users: ['http://127.0.0.1:8002', 'https://users.example'],
          },
        ),
      }
    },
    bad: {
      variable: 'AUTH_SERVICE_URL',
      input: input({ AUTH_SERVICE_URL: 'srv+http://auth' }, { auth: ['srv+http://auth'] }),
    },
  },
  dns: {
    test,
    changes: true,
    async start(t) {
      const server = await startDnsServer(t)
      server.answer('auth', { A: ['127.0.0.2'], ttl: 1 })
      server.answer('users', { A: ['127.0.0.4', '127.0.0.3'], ttl: 1 })
      return {
        input: input({ DNS_SERVER: server.address }, { auth: ['http://auth:8001'], users: ['http://users'] }),
        grow: () => server.answer('auth', { A: ['127.0.0.5', '127.0.0.2'], ttl: 1 }),
        silence: () => server.silence(),
      }
    },
    bad: { variable: 'DNS_REFRESH', input: input({ DNS_REFRESH: 'soon' }) },
  },
  consul: {
    test: consulTest,
    changes: true,
    async start(t) {
      const consul = await startConsul(t)
      for (const [id, port] of [
        ['auth-1', 8001],
        ['users-2', 8002],
        ['users-1', 8003],
      ] as const) {
        await register(consul, id, port)
      }
      return {
        input: input({ CONSUL_HTTP_ADDR: consul.address }),
        grow: () => register(consul, 'auth-2', 8004),
        silence: () => consul.kill(),
      }
    },
    bad: { variable: 'CONSUL_HTTP_ADDR', input: input({ CONSUL_HTTP_ADDR: 'not an address' }) },
  },
  kubernetes: {
    test,
    changes: true,
    async start(t) {
      const api = await startKubernetesApi(t)
      for (const name of ['auth', 'users']) api.put('services', service(name))
      api.put('endpointslices', addresses('auth', '10.0.0.1'))
      api.put('endpointslices', addresses('users', '10.0.0.3', '10.0.0.2'))
      return {
        input: input({ KUBECONFIG: await api.kubeconfig() }),
        grow: () => api.put('endpointslices', addresses('auth', '10.0.0.1', '10.0.0.4')),
        silence: () => api.stop(),
      }
    },
    bad: { variable: 'KUBECONFIG', input: input({ KUBECONFIG: '/nowhere/config' }) },
  },
}

for (const name of Object.keys(discoverySources) as (keyof typeof discoverySources)[]) {
  const source: DiscoverySource = discoverySources[name]
  const fixture = fixtures[name]
  const title = (behaviour: string) => `${name}: ${behaviour}`
  const watch = (t: ExecutionContext, world: World) =>
    watchSource(t, source, source.settings.parse(world.input))

  test(title('is known by its own name'), (t) => {
    t.is(source.name, name)
  })

  test(title('a bad setting is an issue whose path ends in the variable'), (t) => {
    const { error } = source.settings.safeParse(fixture.bad.input)
    t.deepEqual(
      error?.issues.map((issue) => issue.path.at(-1)),
      [fixture.bad.variable],
    )
  })

  fixture.test(title('the first snapshot is whole'), async (t) => {
    const watched = watch(t, await fixture.start(t))
    t.deepEqual(sizes(await watched.until(() => true)), { auth: 1, users: 2 })
  })

  fixture.test(
    title('an instance’s origin is what a URL’s origin would be, and ids are unique'),
    async (t) => {
      const services = await watch(t, await fixture.start(t)).until(() => true)
      for (const { instances } of services) {
        t.is(new Set(instances.map(({ id }) => id)).size, instances.length)
        for (const { origin } of instances) t.is(origin, new URL(origin).origin)
      }
    },
  )

  fixture.test(title('the same state gives the same snapshot'), async (t) => {
    const world = await fixture.start(t)
    const [one, other] = [watch(t, world), watch(t, world)]
    t.deepEqual(sorted(await one.until(() => true)), sorted(await other.until(() => true)))
  })

  fixture.test(title('a signal aborted before the start ends the watch at once'), async (t) => {
    const world = await fixture.start(t)
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    await source.watch(source.settings.parse(world.input), () => {}, {
      log,
      fail() {},
      signal: AbortSignal.abort(),
    })
    t.pass()
  })

  fixture.test(title('when the signal aborts the watch ends at once and leaves nothing open'), async (t) => {
    const { endedAfterMs, exitedAfterMs } = await runAndAbort(t, name, await fixture.start(t))
    t.true(endedAfterMs < atMost(500), `the watch ended after ${endedAfterMs} ms`)
    t.true(exitedAfterMs < atMost(2000), `the process could end only after ${exitedAfterMs} ms`)
  })

  if (!fixture.changes) continue

  fixture.test(title('a change is published with everything else that is known'), async (t) => {
    const world = await fixture.start(t)
    const watched = watch(t, world)
    await watched.until(() => true)
    await world.grow!()
    const after = await watched.until((services) => sizes(services).auth === 2)
    t.deepEqual(sizes(after), { auth: 2, users: 2 })
  })

  fixture.test(title('silence takes nothing away'), async (t) => {
    const world = await fixture.start(t)
    const watched = watch(t, world)
    await watched.until(() => true)
    await world.silence!()
    // Either is how a source may say that it noticed.
    await Promise.race([watched.ended, watched.warned(/./).catch(() => undefined)])
    for (const snapshot of watched.snapshots) t.deepEqual(sizes(snapshot), { auth: 1, users: 2 })
  })
}

function input(environment: SourceInput['environment'], urls: Record<string, string[]> = {}): SourceInput {
  return { environment, urls: new Map(Object.entries(urls)) }
}

function register({ client }: TestConsul, id: string, port: number): Promise<unknown> {
  const [name = id] = id.split('-')
  return client.agent.service.register({
    id,
    name,
    address: '127.0.0.1',
    port,
    tags: ['gateway.enable=true'],
  })
}

function sizes(services: readonly Service[]): Record<string, number> {
  return Object.fromEntries(services.map(({ name, instances }) => [name, instances.length]))
}

/** The order within a snapshot is not part of what it says. */
function sorted(services: readonly Service[]): readonly Service[] {
  return services
    .map((service) => ({
      ...service,
      instances: service.instances.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Nothing but the source runs in this process: what keeps it alive is what the source has left open. */
const program = `
  const [index, name, environment, urls] = JSON.parse(process.argv[1])
  const { discoverySources } = await import(index)
  const source = discoverySources[name]
  const options = source.settings.parse({ environment, urls: new Map(urls) })
  const controller = new AbortController()
  const quiet = () => {}
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  let abortedAt
  const publish = () => {
    abortedAt ??= performance.now()
    controller.abort()
  }
  await source.watch(options, publish, { log, signal: controller.signal })
  process.stdout.write(String(performance.now() - abortedAt))
`

async function runAndAbort(t: ExecutionContext, name: string, { input }: World) {
  const index = new URL('../../../src/discovery/sources/index.ts', import.meta.url).href
  const given = JSON.stringify([index, name, input.environment, [...input.urls]])
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, given], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  let endedAt = Number.NaN
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    endedAt = performance.now()
  })
  const [code] = await once(child, 'close')
  t.is(code, 0, 'the process must come to its end, and by itself')
  return { endedAfterMs: Number(output), exitedAfterMs: performance.now() - endedAt }
}
