import type { Log } from '../../observability/log.ts'
import type { Service } from '../source.ts'
import { publishedNames } from './names.ts'
import type { EndpointSlice, KubernetesService } from './objects.ts'
import { createServiceView, type Routed, type ServiceView } from './service-view.ts'
import type { KubernetesOptions } from './settings.ts'

/** Services and slices as the API server last had them, and what they come to. */
export interface ClusterView {
  setService(service: KubernetesService): void
  deleteService(namespace: string, name: string): void
  setSlice(slice: EndpointSlice): void
  deleteSlice(namespace: string, name: string): void
  /** All that there is in the namespace, or in all of them (undefined): whatever else was known is gone. */
  replaceServices(namespace: string | undefined, services: readonly KubernetesService[]): void
  replaceSlices(namespace: string | undefined, slices: readonly EndpointSlice[]): void
  /** @param blind namespaces that nothing is known of yet: what was known before the watch is given for them. */
  snapshot(blind: readonly string[]): readonly Service[]
}

interface Entry {
  readonly namespace: string
  readonly name: string
  readonly createdAt: string
  service: KubernetesService
  readonly view: ServiceView
  routed: Routed | undefined
  /** As it was published last; what has not changed is published as the very same. */
  published: Service | undefined
}

export interface ClusterViewOptions
  extends Pick<KubernetesOptions, 'annotationPrefix' | 'zone' | 'namespaces' | 'home'> {
  readonly log: Log
  readonly lastKnown: readonly Service[] | undefined
}

/** Only Services that something changed of are looked at again when a snapshot is made. */
export function createClusterView(options: ClusterViewOptions): ClusterView {
  const { annotationPrefix, zone, namespaces, home, log } = options
  const entries = new Map<string, Entry>()
  const slices = new Map<string, EndpointSlice>()
  const slicesOf = new Map<string, Map<string, EndpointSlice>>()
  const changed = new Set<string>()
  let before = options.lastKnown ?? []
  let reportedNames = new Set<string>()

  function setService(service: KubernetesService): void {
    const key = keyOf(service)
    const known = entries.get(key)
    // One that was deleted and made again is another one, whatever it said before.
    if (known !== undefined && known.createdAt === service.createdAt) known.service = service
    else entries.set(key, entryOf(service, known === undefined))
    changed.add(key)
  }

  function entryOf(service: KubernetesService, first: boolean): Entry {
    const { namespace, name, createdAt } = service
    const lastDescription = first
      ? before.find((known) => isOf(known, namespace, name))?.description
      : undefined
    const view = createServiceView({ annotationPrefix, zone, log, lastDescription })
    return { namespace, name, createdAt, service, view, routed: undefined, published: undefined }
  }

  function setSlice(slice: EndpointSlice): void {
    const key = keyOf(slice)
    deleteSlice(slice.namespace, slice.name)
    slices.set(key, slice)
    const serviceKey = `${slice.namespace}/${slice.service}`
    const all = slicesOf.get(serviceKey) ?? new Map<string, EndpointSlice>()
    all.set(key, slice)
    slicesOf.set(serviceKey, all)
    changed.add(serviceKey)
  }

  function deleteSlice(namespace: string, name: string): void {
    const key = `${namespace}/${name}`
    const known = slices.get(key)
    if (known === undefined) return
    const serviceKey = `${namespace}/${known.service}`
    slices.delete(key)
    const all = slicesOf.get(serviceKey)
    all?.delete(key)
    if (all?.size === 0) slicesOf.delete(serviceKey)
    changed.add(serviceKey)
  }

  function deleteService(namespace: string, name: string): void {
    entries.delete(`${namespace}/${name}`)
    // What was known when the watch began says nothing of a service that left and came back since.
    before = before.filter((service) => !isOf(service, namespace, name))
  }

  /** Each shared name once, until it is shared no more or by others. */
  function reportNames(names: ReadonlyMap<Entry, string>): void {
    const notes = new Set<string>()
    for (const [{ name, namespace }, published] of names) {
      if (published === name) continue
      const note = `service ${name} is in several namespaces: that of ${namespace} is known as ${published}`
      notes.add(note)
      if (!reportedNames.has(note)) log.warn({ source: 'kubernetes', service: name }, `kubernetes: ${note}`)
    }
    reportedNames = notes
  }

  return {
    setService,
    deleteService,
    setSlice,
    deleteSlice,
    replaceServices(namespace, now) {
      for (const gone of missing(namespace, entries.values(), now)) deleteService(gone.namespace, gone.name)
      for (const service of now) setService(service)
    },
    replaceSlices(namespace, now) {
      for (const gone of missing(namespace, slices.values(), now)) deleteSlice(gone.namespace, gone.name)
      for (const slice of now) setSlice(slice)
    },
    snapshot(blind) {
      for (const key of changed) {
        const entry = entries.get(key)
        if (entry === undefined) continue
        entry.routed = entry.view.update(entry.service, [...(slicesOf.get(key)?.values() ?? [])])
        entry.published = undefined
      }
      changed.clear()
      const published = [...entries.values()].filter(
        ({ routed, namespace }) => routed !== undefined && !blind.includes(namespace),
      )
      const unseen = before.filter((service) => blind.some((namespace) => isIn(service, namespace)))
      const taken = new Set(unseen.map(({ name }) => name))
      const names = publishedNames(published, namespaces, home, taken)
      reportNames(names)
      const services = [...names].map(([entry, name]): Service => {
        if (entry.published?.name !== name) {
          entry.published = { name, ...entry.routed!, since: Date.parse(entry.createdAt) }
        }
        return entry.published
      })
      return [...services, ...unseen]
    },
  }
}

interface Keyed {
  readonly namespace: string
  readonly name: string
}

function keyOf({ namespace, name }: Keyed): string {
  return `${namespace}/${name}`
}

function missing(namespace: string | undefined, known: Iterable<Keyed>, now: readonly Keyed[]): Keyed[] {
  const keys = new Set(now.map(keyOf))
  return [...known].filter(
    (item) => (namespace === undefined || item.namespace === namespace) && !keys.has(keyOf(item)),
  )
}

/** By its instances' ids: a Service without any could be anybody's. */
function isIn({ instances }: Service, namespace: string): boolean {
  return instances[0]?.id.startsWith(`${namespace}/`) ?? false
}

/** Whether what was published is, beyond doubt, this Service. */
function isOf(service: Service, namespace: string, name: string): boolean {
  return (service.name === name || service.name === `${name}.${namespace}`) && isIn(service, namespace)
}
