import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs } from '../backoff.ts'
import { followBlockingQuery } from '../consul/blocking-query.ts'
import { type ConsulClient, createConsulClient } from '../consul/client.ts'
import { createLines } from '../consul/lines.ts'
import { createRateLimit, type RateLimit } from '../consul/rate-limit.ts'
import { NoInstanceVisible, parseCatalog, parseInstances } from '../consul/replies.ts'
import { createServiceView, type ServiceView } from '../consul/service-view.ts'
import { type ConsulOptions, consulSettings, consulVariables } from '../consul/settings.ts'
import { mayOptIn } from '../consul/tags.ts'
import type { DiscoverySource, Publish, Service, SourceContext } from '../source.ts'

/**
 * An unchanged answer is the catalog's sign of life: a connection that has died unnoticed is given up soon after one is
 * due, and the queries of all services with it. Those may wait longer, so that an agent has little to do for them.
 */
const catalogWaitMs = 3000
/** Short waits are what a query every few milliseconds costs: a twentieth of a core here and of the agent's at 1000. */
const serviceWaitMs = { long: 55_000, short: 1500 }
/** A lone change is asked for at once, a catalog that never rests once a second. */
const catalogRate = { burst: 4, intervalMs: 1000 }
/** Houses that come and go together are followed one by one; instances are worth more haste than names. */
const serviceRate = { burst: 10, intervalMs: 500 }
/** A thousand answers together would take a hundred megabytes, and be too late for their time-outs. */
const firstAnswersAtOnce = 16
/** Until an agent has noticed that a connection is gone, it counts it. */
const restMs = 250
const serviceBackoff = { firstMs: 500, mostMs: 8000 }
const steadyMs = 10_000
/** The catalog may be so much behind the instances. */
const leavingMs = 3000

/**
 * Services in Consul's catalog that carry the tag `gateway.enable=true`, with the instances that no check
 * calls critical. One blocking query follows the catalog and one follows each service, so that a change is known at
 * once. The catalog has a connection of its own; the services share the others, and take turns where they are more.
 *
 * `watch` rejects when the catalog cannot be followed. A service that cannot be followed keeps its last known
 * instances and is asked again with a back-off of its own; the others are not concerned.
 */
export const consulSource: DiscoverySource<ConsulOptions> = {
  name: 'consul',
  variables: consulVariables,
  settings: consulSettings,
  async watch(options, publish, context) {
    // Two clients: a connection that the catalog has left for a moment could be another's when it comes back.
    const client = createConsulClient(options, 1)
    const serviceConnections = options.maxConnections - 1
    const serviceClient = createConsulClient(options, serviceConnections)
    const ended = new AbortController()
    const signal = AbortSignal.any([context.signal, ended.signal])
    const catalog = createCatalog(serviceClient, serviceConnections, publish, { ...context, signal })
    try {
      const followed = followBlockingQuery({
        what: 'GET /v1/catalog/services',
        ask: client.services,
        allowed: createRateLimit(catalogRate),
        inTurn: (_isFirst, signal, ask) => ask({ waitMs: catalogWaitMs, signal }),
        parse: parseCatalog,
        onAnswer: catalog.update,
        wantsUnchanged: () => true,
        signal,
      })
      await Promise.race([followed, catalog.failed])
    } catch (error) {
      if (!context.signal.aborted) throw error
    } finally {
      ended.abort()
      await catalog.ended()
      client.destroy()
      serviceClient.destroy()
    }
  },
}

/** One service that the catalog names, and how following it goes. */
interface Followed {
  readonly name: string
  readonly view: ServiceView
  readonly stop: AbortController
  readonly allowed: RateLimit
  tags: readonly string[]
  /** What the last answer was read with. */
  tagsRead: readonly string[] | undefined
  /** Undefined until it answered or failed for the first time. */
  state: 'answers' | 'fails' | undefined
  service: Service | undefined
  /** The smallest index that one of its instances was registered with. */
  since: number
  lastError: Error | undefined
  /** Since when it is this error, in milliseconds of performance.now. */
  failsSince: number
  /** Whether the log has it. */
  told: boolean
}

function createCatalog(
  client: ConsulClient,
  connections: number,
  publish: Publish,
  { log, signal, lastKnown }: SourceContext,
) {
  const services = new Map<string, Followed>()
  const loops = new Set<Promise<void>>()
  const lines = createLines({
    count: connections,
    followers: () => services.size,
    waitMs: serviceWaitMs,
    firstAtOnce: firstAnswersAtOnce,
    restMs,
  })
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => {})
  let complete = false
  let toldOfTurns = false

  function update(catalog: ReadonlyMap<string, readonly string[]>): void {
    const wanted = new Map([...catalog].filter(([, tags]) => mayOptIn(tags)))
    for (const [name, { stop }] of services) {
      if (wanted.has(name)) continue
      stop.abort()
      services.delete(name)
    }
    for (const [name, tags] of wanted) {
      const known = services.get(name)
      if (known === undefined) start(name, tags)
      else if (!sameTags(known.tags, tags)) known.tags = tags
    }
    if (services.size > connections && !toldOfTurns) {
      toldOfTurns = true
      const seconds = Math.ceil((services.size / connections) * (serviceWaitMs.short / 1000))
      log.info(
        { source: 'consul', services: services.size },
        `consul: ${services.size} services take turns on ${connections} connections (CONSUL_MAX_CONNECTIONS): changes may take ${seconds} s to be known`,
      )
    }
    settle()
  }

  function start(name: string, tags: readonly string[]): void {
    // What was known when the watch began says nothing of a service that left and came back since.
    const before = complete ? undefined : lastKnown?.find((service) => service.name === name)
    const followed: Followed = {
      name,
      view: createServiceView(name, log, before),
      stop: new AbortController(),
      allowed: createRateLimit(serviceRate),
      tags,
      tagsRead: undefined,
      state: undefined,
      service: before,
      since: before?.since ?? Number.MAX_SAFE_INTEGER,
      lastError: undefined,
      failsSince: 0,
      told: false,
    }
    services.set(name, followed)
    const loop = follow(followed, AbortSignal.any([signal, followed.stop.signal]))
    loops.add(loop)
    loop.finally(() => loops.delete(loop))
  }

  /** Follows one service until the signal aborts. Never rejects. */
  async function follow(followed: Followed, until: AbortSignal): Promise<void> {
    const { name, view, allowed } = followed
    for (let failures = 0; !until.aborted; failures++) {
      const startedAt = performance.now()
      try {
        await followBlockingQuery({
          what: `GET /v1/health/service/${name}`,
          ask: (query) => client.health(name, query),
          allowed,
          inTurn: lines.inTurn,
          parse: (body) => parseInstances(name, body),
          onAnswer(instances) {
            followed.state = 'answers'
            followed.lastError = undefined
            // While the service is there it grows no younger, however often its instances are replaced.
            followed.since = Math.min(followed.since, ...instances.map(({ createIndex }) => createIndex))
            followed.tagsRead = followed.tags
            const service = view.update(instances, followed.tags)
            followed.service = service && { ...service, since: followed.since }
            settle()
          },
          wantsUnchanged: () => followed.tags !== followed.tagsRead,
          signal: until,
        })
      } catch (error) {
        if (until.aborted) return
        fail(followed, error instanceof Error ? error : new Error(String(error)))
      }
      // Only a query that held starts afresh: one that answers and breaks at once must not become a loop.
      if (performance.now() - startedAt > steadyMs) failures = 0
      await sleep(backoffMs(failures, serviceBackoff), undefined, { signal: until }).catch(() => {})
    }
  }

  function fail(followed: Followed, error: Error): void {
    if (followed.lastError?.message !== error.message) {
      followed.failsSince = performance.now()
      followed.told = false
    }
    // A service that has just left is out of the catalog in a moment: only if it is not, that is worth a word.
    const graceMs = error instanceof NoInstanceVisible ? leavingMs : 0
    if (!followed.told && performance.now() - followed.failsSince >= graceMs) {
      followed.told = true
      const kept =
        followed.service === undefined ? 'nothing is known of it yet' : 'its last known instances stay'
      log.warn(
        { source: 'consul', service: followed.name },
        `consul: ${followed.name}: ${kept}: ${error.message}`,
      )
    }
    followed.lastError = error
    followed.state = 'fails'
    // What is published counts as a word from Consul.
    if (!complete) settle()
  }

  /** Publishes, once every service of the first catalog has answered: half a picture is not one. */
  function settle(): void {
    if (signal.aborted) return
    const all = [...services.values()]
    if (!complete) {
      if (all.some(({ state }) => state === undefined)) return
      const [first] = all
      if (first?.lastError !== undefined && all.every(({ state }) => state === 'fails')) {
        // Not one answers: that is Consul's trouble, and no reason to say that there are no services.
        failure.reject(first.lastError)
        return
      }
      complete = true
    }
    publish(all.flatMap(({ service }) => service ?? []))
  }

  return {
    update,
    /** Rejects when no service can be followed from the start. */
    failed: failure.promise,
    async ended() {
      await Promise.all(loops)
    },
  }
}

/** The catalog gives them in another order each time. */
function sameTags(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.toSorted().join() === b.toSorted().join()
}
