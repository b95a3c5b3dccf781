import { isIPv6 } from 'node:net'
import type { Log } from '../../observability/log.ts'
import type { Description } from '../description.ts'
import type { Instance, Service } from '../source.ts'
import { instanceWeight } from '../weighted-url.ts'
import type { ConsulInstance } from './replies.ts'
import { readTags, type SelfDescription } from './tags.ts'

/** Remembers what a service's instances last agreed upon, and makes a Service of what Consul says of them. */
export interface ServiceView {
  /**
   * @param catalogTags every instance's tags in one, passing or not: what is known where nothing passes.
   * @returns undefined for a service that must not be published: it never said anything that holds.
   */
  update(instances: readonly ConsulInstance[], catalogTags: readonly string[]): Service | undefined
}

interface Opinion {
  readonly instance: ConsulInstance
  readonly self: SelfDescription
}

/**
 * Instances that disagree, or say something illegible, never move a route: the last agreement holds while it
 * lasts. At first sight the majority speaks, and of equals the one with the oldest instance. Without anything
 * legible the service stays invisible, since the closed door is the safe reading of `auth=nonee`.
 */
export function createServiceView(name: string, log: Log, lastKnown?: Service): ServiceView {
  let agreed: Description | undefined = lastKnown?.description
  let reported = new Set<string>()

  /** Each complaint once, until it goes away. */
  function report(complaints: readonly string[]): void {
    for (const complaint of complaints) {
      if (!reported.has(complaint)) log.warn({ source: 'consul', service: name }, `consul: ${complaint}`)
    }
    reported = new Set(complaints)
  }

  return {
    update(all, catalogTags) {
      const complaints: string[] = []
      const opinions: Opinion[] = []
      const read = createReading()
      for (const instance of all) {
        // The mesh's own proxies carry their service's tags, and are not what the tags speak of.
        if (instance.kind !== '') continue
        const self = read(instance)
        const { enabled, faults } = self
        if (enabled || faults.some((fault) => /gateway.enable/i.test(fault))) {
          complaints.push(...faults.map((fault) => `service ${name}, instance ${instance.id}: ${fault}`))
        }
        if (enabled) opinions.push({ instance, self })
      }
      agreed = agree(opinions, complaints) ?? agreed
      if (agreed === undefined && all.length === 0 && !name.endsWith('-sidecar-proxy')) {
        const { enabled, description } = readTags(catalogTags)
        if (enabled) agreed = description
      }
      const description = agreed
      if (description === undefined) {
        if (complaints.length > 0) complaints.push(`service ${name} is not published: nothing it says holds`)
        report(complaints)
        return undefined
      }
      const instances = opinions.flatMap((opinion) => toInstance(name, opinion, description, complaints))
      report(complaints)
      return { name, instances, description }
    },
  }

  function agree(opinions: readonly Opinion[], complaints: string[]): Description | undefined {
    const groups = groupByDescription(opinions)
    const [largest, next] = groups
    if (largest === undefined || next === undefined) return largest?.description
    const kept = agreed ?? largest.description
    const holders = groups.find((group) => sameDescription(group.description, kept))?.ids
    complaints.push(
      `service ${name}: its instances disagree about their routes (${groups.map(({ ids }) => ids.join(', ')).join(' / ')}); ` +
        (agreed === undefined ? `what ${holders?.join(', ')} says holds` : 'the last agreement holds'),
    )
    return kept
  }
}

/** Instances say the same, as a rule: then it is read once. What one says takes ten times its own size to be read. */
function createReading(): (instance: ConsulInstance) => SelfDescription {
  const known = new Map<string, SelfDescription>()
  return ({ tags, meta }) => {
    const said = JSON.stringify([tags, meta])
    const self = known.get(said) ?? readTags(tags, meta)
    known.set(said, self)
    return self
  }
}

interface Group {
  readonly description: Description
  readonly ids: readonly string[]
  readonly oldest: number
}

/** The largest group first; of equals the one with the oldest instance. */
function groupByDescription(opinions: readonly Opinion[]): readonly Group[] {
  const groups = new Map<string, Group>()
  const keys = new Map<Description, string>()
  for (const { instance, self } of opinions) {
    if (self.description === undefined) continue
    const key = keys.get(self.description) ?? canonical(self.description)
    keys.set(self.description, key)
    const group = groups.get(key) ?? { description: self.description, ids: [], oldest: Infinity }
    groups.set(key, {
      ...group,
      ids: [...group.ids, instance.id],
      oldest: Math.min(group.oldest, instance.createIndex),
    })
  }
  return [...groups.values()].sort((a, b) => b.ids.length - a.ids.length || a.oldest - b.oldest)
}

/** Tags have no order, so neither keys nor paths have one. */
function canonical({ path, ...rest }: Description): string {
  const entries = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([path?.toSorted(), entries])
}

function sameDescription(a: Description, b: Description): boolean {
  return canonical(a) === canonical(b)
}

/** An instance speaks for its own protocol and port, whatever the others say of the routes. */
function toInstance(
  service: string,
  { instance, self }: Opinion,
  agreed: Description,
  complaints: string[],
): readonly Instance[] {
  const { protocol = 'http', port = instance.port } = self.description ?? agreed
  const fail = (found: string, expected: string) => {
    complaints.push(
      `service ${service}, instance ${instance.id} is left out: found ${found}, expected ${expected}`,
    )
    return []
  }
  if (Number(port) < 1 || Number(port) > 65535) return fail(`port ${port}`, 'a port from 1 to 65535')
  const { address } = instance
  if (!isIPv6(address) && !/^[A-Za-z0-9_.-]+$/.test(address)) {
    return fail(`address ${JSON.stringify(address)}`, 'an IP address or a host name')
  }
  const url = URL.parse(`${protocol}://${isIPv6(address) ? `[${address}]` : address}:${port}`)
  if (url === null) return fail(`address ${JSON.stringify(address)}`, 'an IP address or a host name')
  return [
    {
      ...{ id: `${instance.id}@${instance.node}`, origin: url.origin },
      ...instanceWeight(instance.weight),
    },
  ]
}
