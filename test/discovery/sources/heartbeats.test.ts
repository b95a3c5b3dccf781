import test from 'ava'
import { consulSettings } from '../../../src/discovery/consul/settings.ts'
import { consulSource } from '../../../src/discovery/sources/consul.ts'
import { createKubernetesSource } from '../../../src/discovery/sources/kubernetes.ts'
import { consulTest, startConsul } from '../../support/consul.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { startKubernetesApi } from '../../support/kubernetes-api.ts'
import { addresses, service } from '../../support/kubernetes-objects.ts'
import { until } from '../../support/until.ts'
import { watchSource } from '../../support/watch-source.ts'

const any = () => true

test('kubernetes: a bookmark is a sign of life, though nothing has changed', async (t) => {
  const api = await startKubernetesApi(t)
  api.put('services', service('auth'))
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const source = createKubernetesSource({ settleMs: 0 })
  const options = source.settings.parse({
    environment: { KUBECONFIG: await api.kubeconfig() },
    urls: new Map(),
  })
  const watched = watchSource(t, source, options)
  await watched.until((services) => services[0]?.instances.length === 1)
  await until(() => api.streams.open() === 2, 'both are watched')
  // That they are open is one as well, each.
  for (let bookmarks = 0; bookmarks < 4; bookmarks += 1) {
    const before = watched.snapshots.length
    api.streams.bookmark()
    t.deepEqual(await watched.until(any, before), watched.snapshots[0])
  }
})

consulTest('consul: an unchanged catalog is a sign of life, a service that fails is none', async (t) => {
  const consul = await startConsul(t)
  await consul.client.agent.service.register({
    ...{ id: 'auth', name: 'auth', address: '127.0.0.1', port: 8001 },
    tags: ['gateway.enable=true'],
  })
  const proxy = await startFaultProxy(t, consul.port)
  const settings = { environment: { CONSUL_HTTP_ADDR: proxy.address }, urls: new Map() }
  const watched = watchSource(t, consulSource, consulSettings.parse(settings))
  await watched.until((services) => services[0]?.instances.length === 1)
  const startedAt = performance.now()
  const before = watched.snapshots.length
  const isOfAuth = (path: string) => path.startsWith('/v1/health/service/auth')
  const asked = () => proxy.requests.filter(({ path }) => isOfAuth(path)).length
  const askedBefore = asked()
  proxy.set({ kind: 'status', status: 500 }, isOfAuth)
  await until(() => asked() >= askedBefore + 3, 'it has failed several times')
  // The catalog is asked about every 4 s.
  const most = 1 + (performance.now() - startedAt) / 4000
  const published = watched.snapshots.length - before
  t.true(published <= most, `${published} of at most ${most}`)
  await watched.until(any, watched.snapshots.length)
})
