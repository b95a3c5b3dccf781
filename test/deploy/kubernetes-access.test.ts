import { startGateway } from '../support/gateway.ts'
import { kubectlTest } from '../support/kubectl.ts'
import { startKubernetesApi } from '../support/kubernetes-api.ts'
import { addresses, service } from '../support/kubernetes-objects.ts'
import { environmentOf, every, one, overlayOf, overlays, workload } from '../support/manifests.ts'
import { allowedFlows, neededFlows } from '../support/network-flows.ts'
import { until } from '../support/until.ts'

const groups: Readonly<Record<string, string>> = { services: '', endpointslices: 'discovery.k8s.io' }

kubectlTest('the Role allows what the gateway asks the API server, and nothing else', async (t, render) => {
  const objects = await render('k8s/overlays/production')
  const { namespace } = one(objects, 'Deployment', 'gateway').metadata
  const api = await startKubernetesApi(t)
  api.put('services', service('auth', { namespace: 'munjigi', annotations: { auth: 'none' } }))
  await startGateway(t, {
    env: {
      DISCOVERY: 'kubernetes',
      KUBECONFIG: await api.kubeconfig(),
      KUBERNETES_NAMESPACE: namespace ?? '',
    },
  })
  // All that it does in its life: it lists, watches, watches again, and lists again what has grown too old.
  const open = () => until(() => api.streams.open() === 2, 'it watches')
  await open()
  api.put('endpointslices', addresses('auth', '10.0.0.1'))
  const before = api.calls.length
  api.streams.end()
  await until(() => api.calls.length >= before + 2, 'it watches again')
  await open()
  const listed = api.calls.filter(({ verb }) => verb === 'list').length
  api.compact()
  api.streams.error(410)
  await until(() => api.calls.filter(({ verb }) => verb === 'list').length >= listed + 2, 'it lists again')
  await open()

  const asked = api.calls.map(({ verb, kind }) => `${verb} ${groups[kind]}/${kind}`)
  t.true(api.calls.every((call) => call.namespace === namespace && call.method === 'GET'))
  const allowed = every(objects, 'Role').flatMap(({ rules }) =>
    (rules ?? []).flatMap(({ apiGroups, resources, verbs, resourceNames }) => {
      t.is(resourceNames, undefined)
      return verbs.flatMap((verb) =>
        (apiGroups ?? []).flatMap((group) =>
          (resources ?? []).map((resource) => `${verb} ${group}/${resource}`),
        ),
      )
    }),
  )
  t.deepEqual([...new Set(asked)].sort(), allowed.sort())
})

kubectlTest("the Role is the gateway's, and nobody has more", async (t, render) => {
  for (const folder of overlays) {
    const objects = await render(folder)
    t.false(objects.some(({ kind }) => kind.startsWith('ClusterRole')))
    const bindings = every(objects, 'RoleBinding')
    t.is(every(objects, 'Role').length, bindings.length)
    if (folder.endsWith('consul')) {
      t.is(bindings.length, 0, 'whoever asks Consul asks Kubernetes nothing')
      continue
    }
    const [{ roleRef, subjects } = {}] = bindings
    t.like(roleRef, { kind: 'Role', name: one(objects, 'Role', 'gateway').metadata.name })
    t.deepEqual(subjects, [{ kind: 'ServiceAccount', name: 'gateway', namespace: 'munjigi' }])
    t.is(workload(objects, 'gateway').pod.serviceAccountName, 'gateway')
  }
})

const outside = {
  // Prometheus, and name servers for everybody.
  always: ['monitoring/prometheus > gateway:9090'],
  dns: ['kube-system/kube-dns:53', 'kube-system/kube-dns:53/UDP'],
  // Google, Facebook and the others, in no private network.
  providers: [
    'gateway > 0.0.0.0/0 but 10.0.0.0/8 but 100.64.0.0/10 but 169.254.0.0/16 but 172.16.0.0/12 but 192.168.0.0/16:443',
    'gateway > ::/0 but fc00::/7 but fe80::/10:443',
  ],
  // Wherever it is, but not where clouds keep the secrets of machines.
  kubernetes: (ports: readonly number[]) =>
    ports.flatMap((port) => [
      `gateway > 0.0.0.0/0 but 169.254.0.0/16:${port}`,
      `gateway > ::/0 but fe80::/10:${port}`,
    ]),
  ingress: ['traefik > gateway:8080'],
  gatewayApi: ['envoy-gateway-system > gateway:8080'],
  postgres: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].flatMap((net) => [
    `gateway > ${net}:5432`,
    `auth > ${net}:5432`,
  ]),
}
const secrets = {
  'gateway-secrets': { DATABASE_URL: 'postgres://u:p@db.example.com/munjigi' },
  'auth-secrets': { DATABASE_URL: 'postgres://u:p@db.example.com/munjigi' },
}

kubectlTest('the network lets through what the settings need, and nothing else', async (t, render) => {
  const gatewayApi = await overlayOf(t, {
    resources: ['k8s/base'],
    components: ['k8s/components/gateway-api'],
  })
  for (const folder of [...overlays, gatewayApi]) {
    const objects = await render(folder)
    const production = folder === gatewayApi || folder.endsWith('production')
    const names = production ? ['auth', 'gateway'] : ['auth', 'consul', 'gateway', 'postgres']
    const expected = [
      ...neededFlows(objects, (name) => environmentOf(objects, name, production ? secrets : {})),
      ...outside.always,
      ...names.flatMap((name) => outside.dns.map((dns) => `${name} > ${dns}`)),
      ...outside.providers,
      ...(folder.endsWith('consul') ? [] : outside.kubernetes(production ? [443, 6443] : [443, 6443, 8443])),
      ...(folder === gatewayApi ? outside.gatewayApi : []),
      ...(folder.endsWith('production') ? [...outside.ingress, ...outside.postgres] : []),
    ]
    t.deepEqual(allowedFlows(objects), [...new Set(expected)].sort(), folder)
    // Without this one everything above would be allowed to everybody.
    t.like(one(objects, 'NetworkPolicy', 'default-deny').spec, {
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    })
  }
})
