import { duration } from '../../src/discovery/description.ts'
import { kubectlTest } from '../support/kubectl.ts'
import { type Manifest, schemaFaults } from '../support/kubernetes-schemas.ts'
import {
  every,
  one,
  overlayOf,
  overlays,
  portNumber,
  selects,
  type Workload,
  workload,
  workloads,
} from '../support/manifests.ts'

const everything = ['ingress', 'consul', 'prometheus'].map((name) => `k8s/components/${name}`)
const otherwise = ['gateway-api', 'consul', 'prometheus'].map((name) => `k8s/components/${name}`)

/** The label of cert-manager's own pods, which come and go: none of them is in a manifest of ours. */
const acmeSolver = 'acme.cert-manager.io/http01-solver'

kubectlTest('every overlay, with every component, holds to the schemas of Kubernetes', async (t, render) => {
  const folders = [
    ...overlays,
    await overlayOf(t, { resources: ['k8s/base'], components: everything }),
    await overlayOf(t, { resources: ['k8s/base'], components: otherwise }),
  ]
  const kinds = new Set<string>()
  for (const folder of folders) {
    const objects = await render(folder)
    t.true(objects.length > 15)
    for (const object of objects) {
      kinds.add(object.kind)
      t.deepEqual(await schemaFaults(object), [], `${folder}: ${object.kind} ${object.metadata.name}`)
    }
  }
  t.log([...kinds].sort().join(' '))
})

kubectlTest(
  'one letter too many in the name of any field, or one that is missing, is noticed',
  async (t, render) => {
    const objects = [
      ...(await render('k8s/overlays/dev')),
      ...(await render('k8s/overlays/production')),
      ...(await render(await overlayOf(t, { resources: ['k8s/base'], components: otherwise }))),
    ]
    const tried = new Map<string, number>()
    for (const object of objects) {
      for (const { path, misspelt } of misspellings(object)) {
        tried.set(object.kind, (tried.get(object.kind) ?? 0) + 1)
        t.not((await schemaFaults(misspelt)).length, 0, `${object.kind}: ${path}`)
      }
    }
    for (const { kind } of objects) t.true((tried.get(kind) ?? 0) >= 2, kind)
    t.log(`${[...tried.values()].reduce((sum, count) => sum + count)} misspellings of ${tried.size} kinds`)

    const deployment = structuredClone(one(objects, 'Deployment', 'gateway'))
    delete (deployment.spec as { selector?: unknown }).selector
    t.deepEqual(await schemaFaults(deployment), ['/spec: must have required property selector'])
  },
)

kubectlTest('nothing refers to what is not there', async (t, render) => {
  for (const folder of overlays) {
    const objects = await render(folder)
    const production = folder.endsWith('production')
    for (const { metadata } of objects) t.is(metadata.namespace ?? 'munjigi', 'munjigi')
    for (const { name, pod } of workloads(objects)) {
      const sources = pod.containers.flatMap(({ envFrom = [] }) => envFrom ?? [])
      for (const { configMapRef, secretRef } of sources) {
        // A pod without them would start, and not know why it cannot do what it is there for.
        t.falsy(configMapRef?.optional ?? secretRef?.optional)
        if (configMapRef) one(objects, 'ConfigMap', configMapRef.name!)
        if (secretRef && !production) one(objects, 'Secret', secretRef.name!)
        if (secretRef && production) t.is(secretRef.name, `${name}-secrets`)
      }
      for (const { configMap, name } of pod.volumes ?? []) {
        if (configMap === undefined || configMap === null) continue
        const files = Object.keys(one(objects, 'ConfigMap', configMap.name!).data!)
        const mount = pod.containers[0]?.volumeMounts?.find((mount) => mount.name === name)
        const { GATEWAY_CONFIG } = one(objects, 'ConfigMap', 'gateway-settings').data!
        t.deepEqual(
          files.map((file) => `${mount?.mountPath}/${file}`),
          [GATEWAY_CONFIG],
        )
      }
      if (pod.serviceAccountName) one(objects, 'ServiceAccount', pod.serviceAccountName)
      const volumes = (pod.volumes ?? []).map(({ name }) => name)
      const claims = every(objects, 'StatefulSet').flatMap(({ spec }) => spec?.volumeClaimTemplates ?? [])
      const known = [...volumes, ...claims.map(({ metadata }) => metadata?.name)]
      for (const { volumeMounts } of pod.containers) {
        // A mount of one file out of a ConfigMap never changes: gateway.yaml would not be followed.
        for (const mount of volumeMounts ?? [])
          t.true(known.includes(mount.name) && mount.subPath === undefined)
      }
    }
    for (const { spec } of every(objects, 'HorizontalPodAutoscaler')) {
      const { kind, name } = spec!.scaleTargetRef
      t.is(workload(objects, name).kind, kind as 'Deployment')
      const deployment = one(objects, 'Deployment', name)
      t.is(deployment.spec?.replicas, undefined, 'two would say how many there are')
      t.truthy(deployment.spec?.template.spec?.containers[0]?.resources?.requests?.cpu, 'a share of nothing')
    }
    for (const { spec } of every(objects, 'PodDisruptionBudget')) chosen(objects, spec!.selector!)
    for (const { spec } of every(objects, 'NetworkPolicy')) {
      const { matchLabels = {} } = spec?.podSelector ?? {}
      const everybody = Object.keys(spec?.podSelector ?? {}).length === 0
      if (!everybody && matchLabels?.[acmeSolver] === undefined) chosen(objects, spec!.podSelector!)
    }
    for (const { metadata, spec } of every(objects, 'Service')) {
      t.is(spec?.type, undefined, `${metadata.name} would be reached past the front`)
      for (const found of chosen(objects, { matchLabels: spec!.selector! })) {
        for (const { targetPort } of spec!.ports ?? []) {
          t.truthy(portNumber(found, targetPort as string))
          t.not(targetPort, 'admin', 'the admin port is in no Service')
        }
      }
    }
    for (const { spec } of [...every(objects, 'Deployment'), ...every(objects, 'StatefulSet')]) {
      t.true(selects(spec!.selector as never, spec!.template.metadata?.labels ?? {}))
    }
    for (const { metadata, spec } of every(objects, 'Ingress')) {
      // Traefik would serve the same without TLS.
      t.is(metadata.annotations?.['traefik.ingress.kubernetes.io/router.entrypoints'], 'websecure')
      const { PUBLIC_URL } = one(objects, 'ConfigMap', 'gateway-settings').data!
      t.deepEqual(
        spec?.rules?.map(({ host }) => `https://${host}`),
        [PUBLIC_URL!],
      )
      for (const { http, host } of spec?.rules ?? []) {
        const { service } = http!.paths[0]!.backend
        const ports = one(objects, 'Service', service?.name ?? '').spec!.ports!
        t.true(ports.some(({ name }) => name === service?.port?.name))
        t.deepEqual(spec?.tls?.[0]?.hosts, [host!])
      }
    }
  }
})

kubectlTest('in production one pod may always go, and another is there', async (t, render) => {
  const objects = await render('k8s/overlays/production')
  for (const name of ['gateway', 'auth']) {
    t.true((one(objects, 'HorizontalPodAutoscaler', name).spec?.minReplicas ?? 1) >= 2)
    // A number that must stay would hold up every node's maintenance where that many are all there are.
    t.like(one(objects, 'PodDisruptionBudget', name).spec, { maxUnavailable: 1, minAvailable: undefined })
  }
})

kubectlTest(
  'a setting that changes makes new pods, and a route that changes makes none',
  async (t, render) => {
    for (const folder of overlays) {
      const objects = await render(folder)
      const names = ['gateway-settings', 'auth-settings', 'gateway-file'].map(
        (name) => one(objects, 'ConfigMap', name).metadata.name,
      )
      t.regex(names.join(' '), /^gateway-settings-\w{10} auth-settings-\w{10} gateway-file$/)
    }
  },
)

kubectlTest(
  'whoever proves that the host is ours is asked by way of the same controller',
  async (t, render) => {
    for (const components of [everything, otherwise]) {
      const objects = await render(await overlayOf(t, { resources: ['k8s/base'], components }))
      const { spec } = one(objects, 'NetworkPolicy', 'acme')
      t.deepEqual(spec?.podSelector, { matchLabels: { [acmeSolver]: 'true' } })
      const [front] = one(objects, 'NetworkPolicy', 'front').spec?.ingress ?? []
      t.truthy(front?.from?.[0]?.namespaceSelector?.matchLabels?.['kubernetes.io/metadata.name'])
      t.deepEqual(spec?.ingress, [{ from: front!.from!, ports: [{ port: 8089, protocol: 'TCP' }] }])
    }
  },
)

kubectlTest(
  'the HTTPRoute leads to the port of the Service, by the listener of the Gateway',
  async (t, render) => {
    const folder = await overlayOf(t, { resources: ['k8s/base'], components: otherwise })
    const objects = (await render(folder)) as readonly (Manifest & Route)[]
    const [gateway] = objects.filter(({ kind }) => kind === 'Gateway')
    const [route, redirect] = objects.filter(({ kind }) => kind === 'HTTPRoute')
    t.like(route?.spec.parentRefs?.[0], { name: gateway?.metadata.name, sectionName: 'https' })
    t.like(redirect?.spec.parentRefs?.[0], { name: gateway?.metadata.name, sectionName: 'http' })
    t.deepEqual(
      gateway?.spec.listeners?.map(({ name, hostname }) => `${name} ${hostname}`),
      ['http www.jinmini.com', 'https www.jinmini.com'],
    )
    t.deepEqual(
      [route, redirect].map((one) => one?.spec.hostnames),
      [['www.jinmini.com'], ['www.jinmini.com']],
    )
    t.is(redirect?.spec.rules?.[0]?.filters?.[0]?.requestRedirect?.scheme, 'https')
    // Envoy's own limit of 15 s would cut event streams and downloads.
    t.is(route?.spec.rules?.[0]?.timeouts?.request, '0s')
    const [backend] = route?.spec.rules?.[0]?.backendRefs ?? []
    const service = one(objects, 'Service', backend?.name ?? '')
    t.true(service.spec?.ports?.some(({ port }) => port === backend?.port))
  },
)

interface Route {
  readonly spec: {
    readonly listeners?: readonly { readonly name: string; readonly hostname: string }[]
    readonly parentRefs?: readonly { readonly name: string; readonly sectionName: string }[]
    readonly hostnames?: readonly string[]
    readonly rules?: readonly {
      readonly backendRefs?: readonly { name: string; port: number }[]
      readonly filters?: readonly { requestRedirect?: { scheme?: string } }[]
      readonly timeouts?: { readonly request?: string }
    }[]
  }
}

kubectlTest('Ingress and Gateway API at once are refused by kustomize itself', async (t, render) => {
  const components = ['k8s/components/ingress', 'k8s/components/gateway-api']
  const folder = await overlayOf(t, { resources: ['k8s/base'], components })
  const error = await t.throwsAsync(render(folder))
  t.regex(error?.message ?? '', /NetworkPolicy.*front|front.*NetworkPolicy/s)
})

kubectlTest('a pod is given as long to leave as its settings have it take', async (t, render) => {
  for (const folder of overlays) {
    const objects = await render(folder)
    const gateway = workload(objects, 'gateway').pod
    const settings = one(objects, 'ConfigMap', 'gateway-settings').data!
    const delayMs = duration.parse(settings.DRAIN_DELAY)
    t.true(delayMs >= 5000, 'every node and controller has to hear that it goes')
    const drainMs = delayMs + duration.parse(settings.DRAIN_TIMEOUT)
    t.true(gateway.terminationGracePeriodSeconds! * 1000 >= drainMs + 5000)
    // It waits by itself; a preStop would come on top of that, with /readyz still saying that all is well.
    t.is(gateway.containers[0]?.lifecycle, undefined)

    const auth = workload(objects, 'auth').pod
    const sleep = auth.containers[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0
    // services/auth/server.ts: a second to leave Consul, ten for what is in flight.
    t.true(sleep > 0 && auth.terminationGracePeriodSeconds! >= sleep + 1 + 10 + 4)
    for (const name of ['gateway', 'auth']) {
      t.like(one(objects, 'Deployment', name).spec?.strategy, {
        rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
      })
    }
  }
})

kubectlTest(
  'probes ask at ports that are there, those of the gateway not at the public one',
  async (t, render) => {
    for (const folder of overlays) {
      const objects = await render(folder)
      for (const made of workloads(objects)) {
        const { name, pod } = made
        for (const { startupProbe, livenessProbe, readinessProbe } of pod.containers) {
          t.truthy(startupProbe)
          t.truthy(readinessProbe)
          for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
            if (!probe?.httpGet) continue
            const port = portNumber(made, probe.httpGet.port as string)
            t.truthy(port, `${name}: ${probe.httpGet.port}`)
            if (name === 'gateway')
              t.is(String(port), one(objects, 'ConfigMap', 'gateway-settings').data!.ADMIN_PORT!)
          }
        }
      }
      const [{ startupProbe, livenessProbe, readinessProbe } = {}] = workload(objects, 'gateway').pod
        .containers
      t.deepEqual(
        [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet?.path),
        ['/livez', '/livez', '/readyz'],
      )
    }
  },
)

kubectlTest(
  'the Services of production have what the base says, and images that can be pulled',
  async (t, render) => {
    const objects = await render('k8s/overlays/production')
    t.deepEqual(every(objects, 'Secret'), [])
    t.deepEqual(every(objects, 'StatefulSet'), [])
    for (const { pod } of workloads(objects)) {
      t.regex(pod.containers[0]?.image ?? '', /^ghcr\.io\/jinmini\/munjigi\/(?:gateway|auth):\d+\.\d+\.\d+$/)
    }
    const dev = await render('k8s/overlays/dev')
    t.is(workload(dev, 'gateway').pod.containers[0]?.image, 'munjigi-gateway:dev')
    t.is(workload(dev, 'auth').pod.containers[0]?.image, 'munjigi-auth:dev')
  },
)

/** The workloads that a selector means, of which there is at least one. */
function chosen(objects: readonly Manifest[], selector: object): readonly Workload[] {
  const found = workloads(objects).filter(({ labels }) => selects(selector, labels))
  if (found.length === 0) throw new Error(`nothing has the labels ${JSON.stringify(selector)}`)
  return found
}

/** The names in these are anybody's choice. */
const free = /\/(?:labels|annotations|matchLabels|data|requests|limits)$/

/** The object with one field misspelt, for each of its fields. */
function* misspellings(object: Manifest): Generator<{ path: string; misspelt: Manifest }> {
  for (const path of fields(object, object.kind, [])) {
    const misspelt = structuredClone(object)
    // biome-ignore lint/suspicious/noExplicitAny: any object of any kind
    const parent = path.slice(0, -1).reduce<any>((place, key) => place[key], misspelt)
    const name = path.at(-1)!
    parent[`${name}s`] = parent[name]
    delete parent[name]
    yield { path: path.join('/'), misspelt }
  }
}

function* fields(value: unknown, kind: string, path: readonly string[]): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) return
  const where = `/${path.join('/')}`
  const isFree = free.test(where) || (kind === 'Service' && where === '/spec/selector')
  for (const [name, inner] of Object.entries(value)) {
    const here = [...path, name]
    if (!Array.isArray(value) && !isFree && !/^(?:apiVersion|kind)$/.test(here.join())) yield here
    yield* fields(inner, kind, here)
  }
}
