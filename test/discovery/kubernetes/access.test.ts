import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createKubernetesSource } from '../../../src/discovery/sources/kubernetes.ts'
import { inCalm } from '../../support/calm.ts'
import { selfSigned } from '../../support/certificate.ts'
import { startKubernetesApi } from '../../support/kubernetes-api.ts'
import { addresses, service } from '../../support/kubernetes-objects.ts'
import { until } from '../../support/until.ts'
import { watchSource } from '../../support/watch-source.ts'

function folderOf(t: ExecutionContext, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'munjigi-kube-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

function watch(t: ExecutionContext, environment: Record<string, string>, folder?: string) {
  const source = createKubernetesSource({}, folder)
  return watchSource(t, source, source.settings.parse({ environment, urls: new Map() }))
}

test('in a pod the service account’s token, authority and namespace are used', async (t) => {
  const tls = selfSigned()
  const api = await startKubernetesApi(t, { tls, token: 'pods-own' })
  api.put('services', service('auth', { namespace: 'shop' }))
  const folder = folderOf(t, { token: 'pods-own', 'ca.crt': tls.cert, namespace: 'shop' })
  const { port } = new URL(api.url)
  const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: port }
  const [auth] = await watch(t, environment, folder).until(() => true)
  t.is(auth?.name, 'auth')
  writeFileSync(join(folder, 'ca.crt'), selfSigned().cert)
  t.regex(
    (await watch(t, environment, folder).ended)?.message ?? '',
    /Kubernetes: GET .*self.signed certificate/i,
  )
})

test('an https API server is believed by the authority of the kubeconfig', async (t) => {
  const api = await startKubernetesApi(t, { tls: selfSigned() })
  api.put('services', service('auth'))
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const [auth] = await watch(t, { KUBECONFIG: await api.kubeconfig() }).until(() => true)
  t.is(auth?.instances.length, 1)
})

test('a credential plugin is run, and run again when its token is refused', async (t) => {
  const folder = folderOf(t, { token: 'first' })
  const plugin = join(folder, 'plugin')
  const script = `#!${process.execPath}
    const token = require('node:fs').readFileSync(${JSON.stringify(join(folder, 'token'))}, 'utf8')
    require('node:fs').appendFileSync(${JSON.stringify(join(folder, 'runs'))}, '.')
    console.log(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token } }))`
  writeFileSync(plugin, script)
  chmodSync(plugin, 0o755)
  const api = await startKubernetesApi(t, { token: 'first' })
  api.put('services', service('auth'))
  const KUBECONFIG = await api.kubeconfig({ exec: { command: plugin, args: [] } })
  const watched = watch(t, { KUBECONFIG })
  await watched.until((services) => services.length === 1)
  const before = readFileSync(join(folder, 'runs'), 'utf8').length
  writeFileSync(join(folder, 'token'), 'second')
  api.expect('second')
  api.streams.breakInMidEvent()
  api.put('services', service('mail'))
  await watched.until((services) => services.length === 2)
  t.true(readFileSync(join(folder, 'runs'), 'utf8').length > before)
})

test('a plugin that prints no JSON is told of without what it printed', async (t) => {
  const plugin = join(folderOf(t, { plugin: '#!/bin/sh\necho token hunter2\n' }), 'plugin')
  chmodSync(plugin, 0o755)
  const api = await startKubernetesApi(t)
  const KUBECONFIG = await api.kubeconfig({ exec: { command: plugin, args: [] } })
  const error = await watch(t, { KUBECONFIG }).ended
  t.regex(
    error?.message ?? '',
    /^Kubernetes: GET \S+: no credentials: the credential plugin printed no JSON$/,
  )
})

test(
  'a plugin that never ends does not keep the watch from ending',
  inCalm(async (t) => {
    const plugin = join(folderOf(t, { plugin: '#!/bin/sh\nexec sleep 12\n' }), 'plugin')
    chmodSync(plugin, 0o755)
    const api = await startKubernetesApi(t)
    const KUBECONFIG = await api.kubeconfig({ exec: { command: plugin, args: [] } })
    const source = createKubernetesSource({ headMs: 500 })
    const options = source.settings.parse({ environment: { KUBECONFIG }, urls: new Map() })
    const error = await watchSource(t, source, options).ended
    t.regex(error?.message ?? '', /^Kubernetes: GET \S+: no credentials within 500 ms$/)
    const waiting = watch(t, { KUBECONFIG })
    await new Promise(setImmediate)
    const startedAt = performance.now()
    await waiting.stop()
    t.true(performance.now() - startedAt < 10_000)
  }),
)

test('a refusal is told with the API server’s own words', async (t) => {
  const api = await startKubernetesApi(t)
  api.answer(403)
  const error = await watch(t, { KUBECONFIG: await api.kubeconfig() }).ended
  t.regex(
    error?.message ?? '',
    /^Kubernetes: GET \/\S+\/namespaces\/default\/\w+: 403 [\w.]+ is forbidden: User "[\w:]+" cannot list/,
  )
})

test('aborting ends the watch at once and leaves no connection', async (t) => {
  const api = await startKubernetesApi(t)
  const watched = watch(t, { KUBECONFIG: await api.kubeconfig() })
  await watched.until(() => true)
  const startedAt = performance.now()
  t.is(await watched.stop(), undefined)
  t.true(performance.now() - startedAt < 60_000)
  await until(async () => (await api.connections()) === 0, 'no connection is left')
})
