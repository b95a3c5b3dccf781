import test, { type ExecutionContext } from 'ava'
import type { Service } from '../../../src/discovery/source.ts'
import { createKubernetesSource } from '../../../src/discovery/sources/kubernetes.ts'
import { atMost } from '../../support/figures.ts'
import { type KubernetesApi, startKubernetesApi } from '../../support/kubernetes-api.ts'
import { addresses, ready, service, slice, terminating, unready } from '../../support/kubernetes-objects.ts'
import { until } from '../../support/until.ts'
import { type Watched, watchSource } from '../../support/watch-source.ts'

type Environment = Readonly<Record<string, string>>

/** Watches this fake with a context whose namespace is `default`. */
async function watch(
  t: ExecutionContext,
  api: KubernetesApi,
  environment: Environment = {},
  lastKnown?: readonly Service[],
): Promise<Watched> {
  const source = createKubernetesSource()
  const options = source.settings.parse({
    environment: { KUBECONFIG: await api.kubeconfig(), ...environment },
    urls: new Map(),
  })
  return watchSource(t, source, options, lastKnown)
}

const originsOf = (services: readonly Service[], name: string) =>
  services
    .find((known) => known.name === name)
    ?.instances.map(({ origin }) => origin)
    .sort()
const names = (services: readonly Service[]) => services.map(({ name }) => name).sort()
/** A condition for `until`. */
const has = (name: string, ...origins: readonly string[]) =>
  ((services) => originsOf(services, name)?.join() === origins.join()) satisfies Parameters<
    Watched['until']
  >[0]

test('a Service that opts in is published with its ready endpoints and what it says', async (t) => {
  const api = await startKubernetesApi(t)
  const annotations = { path: '/api/users, /api/user', strip: '/api', auth: 'none', timeout: '5s' }
  api.put('services', service('auth', { annotations }))
  api.put('endpointslices', addresses('auth', '10.0.0.1', '10.0.0.2'))
  const watched = await watch(t, api)
  t.deepEqual(await watched.until(() => true), [
    {
      name: 'auth',
      instances: [
        { id: 'default/pod-10.0.0.1@10.0.0.1:8080', origin: 'http://10.0.0.1:8080' },
        { id: 'default/pod-10.0.0.2@10.0.0.2:8080', origin: 'http://10.0.0.2:8080' },
      ],
      description: {
        enable: true,
        path: ['/api/users', '/api/user'],
        strip: '/api',
        auth: 'none',
        timeout: 5000,
      },
      since: Date.parse('2026-01-01T00:00:00Z'),
    },
  ])
  t.deepEqual(watched.warnings, [])
})

test('a Service without the annotation, or with enable: "false", is invisible and complains of nothing', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth', { annotations: { enable: 'false', auth: 'nonee' } }))
  const plain = service('mail')
  api.put('services', { ...plain, metadata: { ...plain.metadata, annotations: {} } })
  const { annotations: _none, ...bare } = plain.metadata
  api.put('services', { ...plain, metadata: { ...bare, name: 'cart' } })
  const watched = await watch(t, api)
  t.deepEqual(await watched.until(() => true), [])
  t.deepEqual(watched.warnings, [])
})

test('opting in and out while the gateway runs is followed', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  api.put('services', service('auth', { annotations: { enable: 'false' } }))
  const watched = await watch(t, api)
  await watched.until((services) => services.length === 0)
  api.put('services', service('auth'))
  await watched.until(has('auth', 'http://10.0.0.1:8080'))
  const seen = watched.snapshots.length
  api.put('services', service('auth', { annotations: { enable: 'false' } }))
  await watched.until((services) => services.length === 0, seen)
  api.put('services', service('auth'))
  const back = watched.snapshots.length
  await watched.until(has('auth', 'http://10.0.0.1:8080'), back)
  api.remove('services', 'default', 'auth')
  await watched.until((services) => services.length === 0, back + 1)
  t.deepEqual(watched.warnings, [])
})

test('an endpoint of unknown readiness is used, one that is not ready is not, and becoming ready is known', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth'))
  const endpoints = [
    { address: '10.0.0.1', conditions: null },
    { address: '10.0.0.2', conditions: { ready: null } },
    { address: '10.0.0.3', conditions: unready },
  ]
  api.put('endpointslices', slice('auth', { endpoints }))
  const watched = await watch(t, api)
  await watched.until(has('auth', 'http://10.0.0.1:8080', 'http://10.0.0.2:8080'))
  api.put(
    'endpointslices',
    slice('auth', { endpoints: [...endpoints.slice(0, 2), { address: '10.0.0.3', conditions: ready }] }),
  )
  await watched.until((services) => originsOf(services, 'auth')?.length === 3)
  t.pass()
})

test('a terminating endpoint leaves at once, even where it still says ready', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth'))
  api.put('endpointslices', addresses('auth', '10.0.0.1', '10.0.0.2'))
  const watched = await watch(t, api)
  await watched.until(has('auth', 'http://10.0.0.1:8080', 'http://10.0.0.2:8080'))
  const startedAt = performance.now()
  const leaving = { ready: true, serving: true, terminating: true }
  api.put(
    'endpointslices',
    slice('auth', { endpoints: [{ address: '10.0.0.1', conditions: leaving }, { address: '10.0.0.2' }] }),
  )
  await watched.until(has('auth', 'http://10.0.0.2:8080'))
  const tookMs = performance.now() - startedAt
  t.log(`gone after ${Math.round(tookMs)} ms`)
  t.true(tookMs < atMost(1000))
})

test('where nothing is ready, those that still serve are the last resort', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth'))
  const endpoints = [
    { address: '10.0.0.1', conditions: terminating },
    { address: '10.0.0.2', conditions: unready },
  ]
  api.put('endpointslices', slice('auth', { endpoints }))
  const watched = await watch(t, api)
  await watched.until(has('auth', 'http://10.0.0.1:8080'))
  api.put('endpointslices', slice('auth', { endpoints: endpoints.slice(1) }))
  t.deepEqual(originsOf(await watched.until((services) => has('auth')(services)), 'auth'), [])
})

test('endpoints of all slices count, each once', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth'))
  api.put('endpointslices', addresses('auth', '10.0.0.1', '10.0.0.2'))
  const second = [{ address: '10.0.0.2' }, { address: '10.0.0.3' }]
  api.put('endpointslices', slice('auth', { suffix: 'def34', endpoints: second }))
  api.put('endpointslices', slice('auth', { suffix: 'empty', endpoints: null, ports: null }))
  const watched = await watch(t, api)
  await watched.until(has('auth', 'http://10.0.0.1:8080', 'http://10.0.0.2:8080', 'http://10.0.0.3:8080'))
  api.remove('endpointslices', 'default', 'auth-abc12')
  await watched.until(has('auth', 'http://10.0.0.2:8080', 'http://10.0.0.3:8080'))
  t.pass()
})

test('https is spoken where appProtocol says so, with the name of the Service', async (t) => {
  const api = await startKubernetesApi(t)
  const tls = (appProtocol: string) => [{ name: 'web', port: 443, targetPort: 8443, appProtocol }]
  const slicePorts = [{ name: 'web', port: 8443, protocol: 'TCP' }]
  for (const [name, appProtocol, annotations] of [
    ['secure', 'https', {}],
    ['sockets', 'kubernetes.io/wss', {}],
    ['plain', 'kubernetes.io/ws', {}],
    ['told', 'https', { protocol: 'http' }],
  ] as const) {
    api.put('services', service(name, { ports: tls(appProtocol), annotations }))
    api.put('endpointslices', slice(name, { endpoints: [{}], ports: slicePorts }))
  }
  const services = await (await watch(t, api)).until(() => true)
  const found = services.flatMap(({ name, instances }) =>
    instances.map(({ origin, serverName }) => [name, origin, serverName]),
  )
  t.deepEqual(found, [
    ['secure', 'https://10.0.0.1:8443', 'secure.default.svc'],
    ['sockets', 'https://10.0.0.1:8443', 'sockets.default.svc'],
    ['plain', 'http://10.0.0.1:8443', undefined],
    ['told', 'http://10.0.0.1:8443', undefined],
  ])
})

test('an ExternalName Service is reported and not routed, a headless one is routed', async (t) => {
  const api = await startKubernetesApi(t)
  api.put(
    'services',
    service('far', { spec: { type: 'ExternalName', externalName: 'example.com', clusterIP: undefined } }),
  )
  api.put('services', service('near', { spec: { clusterIP: 'None' } }))
  api.put('endpointslices', addresses('near', '10.0.0.1'))
  const watched = await watch(t, api)
  t.deepEqual(names(await watched.until(() => true)), ['near'])
  t.deepEqual(watched.warnings, [
    'kubernetes: service far in namespace default: it is not routed: found type ExternalName, expected one with endpoints',
  ])
})

test('an illegible annotation names service, namespace, key and what was expected, and routes nothing', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth', { annotations: { auth: 'nonee', pth: '/api' } }))
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const watched = await watch(t, api)
  t.deepEqual(await watched.until(() => true), [])
  const [unknown, bad, closed, ...rest] = watched.warnings
  t.regex(
    unknown ?? '',
    /^kubernetes: service auth in namespace default: annotation "gateway.jinmini.com\/pth: \/api": expected one of enable, path, .*did you mean `path`/,
  )
  t.is(
    bad,
    'kubernetes: service auth in namespace default: annotation "gateway.jinmini.com/auth: nonee": expected none, optional or required',
  )
  t.regex(closed ?? '', /not routed/)
  t.deepEqual(rest, [])
})

test('an annotation that becomes illegible leaves what held before, also through a new watch', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth', { annotations: { auth: 'none' } }))
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const watched = await watch(t, api)
  await watched.until(has('auth', 'http://10.0.0.1:8080'))
  api.put('services', service('auth', { annotations: { auth: 'requierd' } }))
  await watched.warned(/what it said before holds/)
  api.put('endpointslices', addresses('auth', '10.0.0.2'))
  const services = await watched.until(has('auth', 'http://10.0.0.2:8080'))
  t.is(services[0]?.description.auth, 'none')
  await watched.stop()
  const again = await watch(t, api, {}, services)
  t.is((await again.until(has('auth', 'http://10.0.0.2:8080')))[0]?.description.auth, 'none')
  api.put('services', service('auth', { annotations: { auth: 'optional' } }))
  await again.until(([first]) => first?.description.auth === 'optional')
})

test('a Service that was deleted and made again is not what it was before', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth', { annotations: { auth: 'none' } }))
  const watched = await watch(t, api)
  await watched.until((services) => names(services).join() === 'auth')
  const seen = watched.snapshots.length
  api.remove('services', 'default', 'auth')
  api.put('services', service('auth', { annotations: { auth: 'nonee' }, createdAt: '2026-02-01T00:00:00Z' }))
  await watched.until((services) => services.length === 0, seen)
  t.regex(await watched.warned(/not routed/), /service auth in namespace default/)
})

test('a port that the Service does not have is reported with those it has', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth', { annotations: { port: 'grpc' } }))
  const watched = await watch(t, api)
  t.deepEqual(await watched.until(() => true), [])
  t.true(
    watched.warnings.includes(
      'kubernetes: service auth in namespace default: annotation "gateway.jinmini.com/port: grpc": expected one of its TCP ports: http (80)',
    ),
    watched.warnings.join('\n'),
  )
})

test('slices that have endpoints and none that can be used are told of, with what was expected', async (t) => {
  const api = await startKubernetesApi(t)
  const ports = [{ name: 'web', protocol: 'TCP', port: 80, targetPort: 8080 }]
  api.put('services', service('misnamed', { ports }))
  api.put('endpointslices', addresses('misnamed', '10.0.0.1'))
  api.put('services', service('named'))
  api.put(
    'endpointslices',
    slice('named', { addressType: 'FQDN', endpoints: [{ address: 'house.example' }] }),
  )
  api.put('services', service('unready'))
  api.put('endpointslices', slice('unready', { endpoints: [{ conditions: unready }] }))
  const watched = await watch(t, api)
  const services = await watched.until(() => true)
  t.deepEqual(
    services.map(({ instances }) => instances.length),
    [0, 0, 0],
  )
  t.deepEqual(watched.warnings, [
    'kubernetes: service misnamed in namespace default: its EndpointSlices lack its port, expected a TCP port named web in them',
    'kubernetes: service named in namespace default: its EndpointSlices have names, expected addresses',
  ])
})

test('a port that says it speaks HTTP/2 alone is used, and told of', async (t) => {
  const api = await startKubernetesApi(t)
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, appProtocol: 'kubernetes.io/h2c' }]
  api.put('services', service('auth', { ports }))
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const watched = await watch(t, api)
  await watched.until(has('auth', 'http://10.0.0.1:8080'))
  t.regex(watched.warnings.join(), /its port speaks kubernetes\.io\/h2c, and is spoken to in HTTP\/1\.1/)
})

test('endpoints hinted for the gateway’s zone are preferred to the others', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth'))
  const endpoints = [
    { address: '10.0.0.1', zones: ['eu-1'] },
    { address: '10.0.0.2', zones: ['eu-2'] },
  ]
  api.put('endpointslices', slice('auth', { endpoints }))
  const [near, anywhere, elsewhere] = await Promise.all([
    watch(t, api, { KUBERNETES_ZONE: 'eu-2' }),
    watch(t, api),
    watch(t, api, { KUBERNETES_ZONE: 'eu-3' }),
  ])
  t.deepEqual(originsOf(await near.until(() => true), 'auth'), ['http://10.0.0.2:8080'])
  t.is(originsOf(await anywhere.until(() => true), 'auth')?.length, 2)
  t.is(originsOf(await elsewhere.until(() => true), 'auth')?.length, 2)
})

test('only the namespaces that were asked for are looked at, with get, list and watch alone', async (t) => {
  const api = await startKubernetesApi(t)
  for (const namespace of ['default', 'shop', 'other']) {
    api.put('services', service(`auth-${namespace}`, { namespace }))
  }
  const [two, context, all] = await Promise.all([
    watch(t, api, { KUBERNETES_NAMESPACE: 'shop, default' }),
    watch(t, api, { KUBERNETES_CONTEXT: 'shop' }),
    watch(t, api, { KUBERNETES_NAMESPACE: '*' }),
  ])
  t.deepEqual(names(await two.until(() => true)), ['auth-default', 'auth-shop'])
  t.deepEqual(names(await context.until(() => true)), ['auth-shop'])
  t.deepEqual(names(await all.until(() => true)), ['auth-default', 'auth-other', 'auth-shop'])
  await until(() => api.streams.open() === 8, 'four namespaces, two watches each')
  t.deepEqual(
    new Set(api.calls.map(({ method, verb }) => `${method} ${verb}`)),
    new Set(['GET list', 'GET watch']),
  )
})

test('of two namespaces with a Service of one name, the one listed first has the name, and it is said', async (t) => {
  const api = await startKubernetesApi(t)
  for (const [namespace, address] of [
    ['default', '10.0.0.1'],
    ['shop', '10.0.1.1'],
  ] as const) {
    api.put('services', service('auth', { namespace }))
    api.put('endpointslices', slice('auth', { namespace, endpoints: [{ address }] }))
  }
  const watched = await watch(t, api, { KUBERNETES_NAMESPACE: 'shop,default' })
  const services = await watched.until(() => true)
  t.deepEqual(originsOf(services, 'auth'), ['http://10.0.1.1:8080'])
  t.deepEqual(originsOf(services, 'auth.default'), ['http://10.0.0.1:8080'])
  t.deepEqual(watched.warnings, [
    'kubernetes: service auth is in several namespaces: that of default is known as auth.default',
  ])
})

test('a thousand changes a second are taken together', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth'))
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const watched = await watch(t, api)
  await watched.until(has('auth', 'http://10.0.0.1:8080'))
  const [from, startedAt] = [watched.snapshots.length, performance.now()]
  const seconds = 2
  let changes = 0
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsedMs = performance.now() - startedAt
      while (changes < elapsedMs) {
        changes += 1
        api.put('endpointslices', addresses('auth', `10.1.${changes >> 8}.${changes & 255}`))
      }
      if (elapsedMs < seconds * 1000) return
      clearInterval(timer)
      resolve()
    }, 5)
  })
  api.put('endpointslices', addresses('auth', '10.0.0.9'))
  const lastAt = performance.now()
  await watched.until(has('auth', 'http://10.0.0.9:8080'))
  const [elapsedMs, published] = [performance.now() - startedAt, watched.snapshots.length - from]
  t.log(
    `${changes} changes in ${Math.round(elapsedMs)} ms: ${published} snapshots, the last ${Math.round(performance.now() - lastAt)} ms late`,
  )
  t.true(changes / seconds > 500, 'too slow to say anything')
  t.true(published <= elapsedMs / 100 + 2, `${published} snapshots in ${elapsedMs} ms`)
})
