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
        if (configMapRef) one(objects, 'ConfigMap', configMapRef.name!)
        if (secretRef && !production) one(objects, 'Secret', secretRef.name!)
        if (secretRef && production) t.is(secretRef.name, `${name}-secrets`)
      }
      for (const { configMap } of pod.volumes ?? []) if (configMap) one(objects, 'ConfigMap', configMap.name!)
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
      const everybody = Object.keys(spec?.podSelector ?? {}).length === 0
      if (!everybody) chosen(objects, spec!.podSelector!)
    }
    for (const { spec } of every(objects, 'Service')) {
      for (const found of chosen(objects, { matchLabels: spec!.selector! })) {
        for (const { targetPort } of spec!.ports ?? []) t.truthy(portNumber(found, targetPort as string))
      }
    }
    for (const { spec } of [...every(objects, 'Deployment'), ...every(objects, 'StatefulSet')]) {
      t.true(selects(spec!.selector as never, spec!.template.metadata?.labels ?? {}))
    }
    for (const { spec } of every(objects, 'Ingress')) {
      for (const { http, host } of spec?.rules ?? []) {
        const { service } = http!.paths[0]!.backend
        const ports = one(objects, 'Service', service?.name ?? '').spec!.ports!
        t.true(ports.some(({ name }) => name === service?.port?.name))
        t.deepEqual(spec?.tls?.[0]?.hosts, [host!])
      }
    }
  }
})

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
    const [backend] = route?.spec.rules?.[0]?.backendRefs ?? []
    const service = one(objects, 'Service', backend?.name ?? '')
    t.true(service.spec?.ports?.some(({ port }) => port === backend?.port))
  },
)

interface Route {
  readonly spec: {
    readonly listeners?: readonly { readonly name: string; readonly hostname: string }[]
    readonly parentRefs?: readonly { readonly name: string; readonly sectionName: string }[]
    readonly rules?: readonly { readonly backendRefs?: readonly { name: string; port: number }[] }[]
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
    const drainMs = duration.parse(settings.DRAIN_DELAY) + duration.parse(settings.DRAIN_TIMEOUT)
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
