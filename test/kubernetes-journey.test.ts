import test from 'ava'
import { startGateway } from './support/gateway.ts'
import { startKubernetesApi } from './support/kubernetes-api.ts'
import { service, slice } from './support/kubernetes-objects.ts'
import { until } from './support/until.ts'
import { httpUpstream } from './support/upstream.ts'

test('requests reach houses that were found in Kubernetes, and go on doing so while its API is away', async (t) => {
  const house = async (name: string) =>
    httpUpstream(t, (request, response) => void response.end(`${name} ${request.url}`))
  const [one, two] = [await house('one'), await house('two')]
  const api = await startKubernetesApi(t)
  const annotations = { path: '/api/users, /api/user', strip: '/api', auth: 'none', openapi: 'false' }
  const sliceAt = (port: number) =>
    slice('auth', {
      endpoints: [{ address: '127.0.0.1' }],
      ports: [{ name: 'http', protocol: 'TCP', port }],
    })
  api.put('services', service('auth', { annotations }))
  api.put('endpointslices', sliceAt(one.port))

  const { url, lines } = await startGateway(t, {
    env: { DISCOVERY: 'kubernetes', KUBECONFIG: await api.kubeconfig() },
  })
  const get = async (path: string) => (await fetch(`${url}${path}`)).text()
  t.is(await get('/api/users'), 'one /users')
  t.is(await get('/api/user/login'), 'one /user/login')

  const startedAt = performance.now()
  api.put('endpointslices', sliceAt(two.port))
  await until(async () => (await get('/api/users')) === 'two /users', 'the new house answers')
  t.log(`a new endpoint answers after ${Math.round(performance.now() - startedAt)} ms`)

  await api.stop()
  await until(() => lines.some(({ message }) => /kubernetes fails/.test(message)), 'the outage is noticed')
  t.is(await get('/api/users'), 'two /users')
  await api.start()
  api.put('endpointslices', sliceAt(one.port))
  await until(async () => (await get('/api/users')) === 'one /users', 'the API server is heard again')
})
