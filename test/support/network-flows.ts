import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import type { Manifest } from './kubernetes-schemas.ts'
import { every, one, portNumber, selects, type Workload, workload, workloads } from './manifests.ts'

type Rule = NonNullable<NonNullable<INetworkPolicy['spec']>['ingress']>[number]
type Peer = NonNullable<Rule['from']>[number]

/**
 * What may be said to whom: `gateway > auth:8001`, and `gateway > dns:53/UDP` where it is not TCP. Where one of two pods
 * of ours allows it alone, that is said.
 */
export function allowedFlows(objects: readonly Manifest[]): readonly string[] {
  const pods = workloads(objects)
  const into = new Set<string>()
  const outOf = new Set<string>()
  for (const { spec } of every(objects, 'NetworkPolicy')) {
    for (const { name } of pods.filter(({ labels }) => selects(spec?.podSelector ?? {}, labels))) {
      for (const { from, ports } of spec?.ingress ?? []) {
        for (const other of peersOf(from, pods))
          for (const port of numbers(ports)) into.add(`${other} > ${name}:${port}`)
      }
      for (const { to, ports } of spec?.egress ?? []) {
        for (const other of peersOf(to, pods))
          for (const port of numbers(ports)) outOf.add(`${name} > ${other}:${port}`)
      }
    }
  }
  const ours = new Set(pods.map(({ name }) => name))
  const from = (flow: string) => flow.split(' > ')[0] ?? ''
  const to = (flow: string) => flow.split(' > ')[1]?.replace(/:\d+(?:\/UDP)?$/, '') ?? ''
  return [
    ...[...into].map((flow) =>
      outOf.has(flow) || !ours.has(from(flow)) ? flow : `${flow}, but may not be sent`,
    ),
    ...[...outOf]
      .filter((flow) => !into.has(flow))
      .map((flow) => (ours.has(to(flow)) ? `${flow}, but is not let in` : flow)),
  ].sort()
}

/** What pods of ours say to one another, going by their settings and by what the gateway is told of services. */
export function neededFlows(
  objects: readonly Manifest[],
  settings: (name: string) => Readonly<Record<string, string>>,
): readonly string[] {
  const flows = new Set<string>()
  const gateway = settings('gateway')
  for (const name of ['gateway', 'auth']) {
    const { CONSUL_HTTP_ADDR, DATABASE_URL, GATEWAY_URL } = settings(name)
    for (const url of [CONSUL_HTTP_ADDR, DATABASE_URL, GATEWAY_URL]) {
      const there = url === undefined ? undefined : behind(objects, new URL(url))
      if (there !== undefined) flows.add(`${name} > ${there}`)
    }
    if (CONSUL_HTTP_ADDR !== undefined) {
      const { PORT, AUTH_PORT } = settings(name)
      flows.add(`consul > ${name}:${PORT ?? AUTH_PORT}`)
      if (name !== 'gateway') flows.add(`gateway > ${name}:${AUTH_PORT}`)
    }
  }
  if (gateway.DISCOVERY?.includes('kubernetes')) {
    for (const { metadata, spec } of every(objects, 'Service')) {
      if (metadata.annotations?.['gateway.jinmini.com/enable'] !== 'true') continue
      const name = spec?.selector?.['app.kubernetes.io/name'] ?? ''
      const port = spec?.ports?.find(
        ({ name }) => name === metadata.annotations?.['gateway.jinmini.com/port'],
      )
      flows.add(`gateway > ${name}:${portNumber(workload(objects, name), port?.targetPort as string)}`)
    }
  }
  return [...flows].sort()
}

/** The pods behind a URL of ours, with the port that they listen on; undefined where it leads out of the cluster. */
function behind(objects: readonly Manifest[], url: URL): string | undefined {
  if (url.hostname.includes('.')) return undefined
  const { spec } = one(objects, 'Service', url.hostname)
  const port = spec?.ports?.find(({ port }) => String(port) === (url.port || '80'))
  const name = spec?.selector?.['app.kubernetes.io/name'] ?? ''
  return `${name}:${portNumber(workload(objects, name), port?.targetPort as string)}`
}

function numbers(ports: Rule['ports']): readonly (string | number)[] {
  if (!ports) throw new Error('a rule that names no ports allows all of them')
  // Names of ports mean something else for every pod, and not every network plugin knows them.
  return ports.map(({ port, protocol }) => {
    if (typeof port !== 'number') throw new Error(`expected the number of a port, got ${port}`)
    return protocol === 'TCP' ? port : `${port}/${protocol}`
  })
}

function peersOf(peers: Rule['from'], pods: readonly Workload[]): readonly string[] {
  if (!peers) throw new Error('a rule that names nobody allows everybody')
  return peers.flatMap((peer) => named(peer, pods))
}

function named(
  { ipBlock, namespaceSelector, podSelector }: Peer,
  pods: readonly Workload[],
): readonly string[] {
  if (ipBlock) return [[ipBlock.cidr, ...(ipBlock.except ?? [])].join(' but ')]
  if (namespaceSelector) {
    const namespace = namespaceSelector.matchLabels?.['kubernetes.io/metadata.name']
    return [[namespace, ...Object.values(podSelector?.matchLabels ?? {})].join('/')]
  }
  return pods.filter(({ labels }) => selects(podSelector ?? {}, labels)).map(({ name }) => name)
}
