import type { ConfiguredSource } from '../config/config.ts'
import type { DiscoverySource, Service } from '../discovery/source.ts'
import { createWatcher, type Watcher } from '../discovery/watcher.ts'
import type { Log } from '../observability/log.ts'
import type { SourceNews } from './messages.ts'

/** The primary's sources, whose news go to every worker. */
export interface Relay {
  start(): void
  stop(): Promise<void>
  /** All that is known: for a worker that joins. */
  everything(): readonly SourceNews[]
  /** Whether every source has spoken once. */
  ready(): boolean
  /** Takes over settings that gateway.yaml has changed. */
  reload(sources: readonly ConfiguredSource[]): void
}

export interface RelayOptions {
  readonly sources: readonly ConfiguredSource[]
  readonly tell: (news: SourceNews) => void
  /** A generation that says nothing any more: the next one has spoken. */
  readonly retire: (generation: number) => void
  readonly log: Log
  readonly now?: () => number
}

/** A source with one set of settings, and what the workers have been told of it. */
interface Generation {
  readonly number: number
  readonly configured: ConfiguredSource
  readonly watcher: Watcher
  told: { readonly services: readonly Service[]; readonly error: string | undefined; readonly at: number }
}

/** A source that says the same again is told of this often: the workers know how old its last word is. */
const heartbeatMs = 1000

/** Whether one process asks for all of them; a source that has nothing to ask is each worker's own. */
export const isRelayed = (source: DiscoverySource) => source.isFixed !== true

/** Keeps sources going as an address book does, and tells what they say: only what has changed, and that they live. */
export function createRelay(options: RelayOptions): Relay {
  const { tell, retire, log, now = () => performance.now() } = options
  let count = 0
  // Where gateway.yaml has changed a source's settings, the old one goes on until the new one has spoken.
  const slots = options.sources
    .filter(({ source }) => isRelayed(source))
    .map((configured) => ({
      current: createGeneration(configured),
      next: undefined as Generation | undefined,
    }))

  function createGeneration(configured: ConfiguredSource): Generation {
    const watcher = createWatcher({
      configured: { ...configured, source: overheard(configured.source, () => report(generation)) },
      log,
      onChange() {},
    })
    const told = { services: [], error: undefined, at: -Infinity }
    const generation: Generation = { number: ++count, configured, watcher, told }
    return generation
  }

  function report(generation: Generation): void {
    const { watcher, told } = generation
    const { lastError: error, lastHeardAt } = watcher.status()
    const services = watcher.snapshot() ?? []
    const isHeartbeat = services === told.services && error === told.error
    if (lastHeardAt === undefined && error === undefined) return
    if (isHeartbeat && now() - told.at < heartbeatMs) return
    generation.told = { services, error, at: now() }
    tell(newsOf(generation, told.services))
    const slot = slots.find(({ next }) => next === generation)
    if (slot === undefined || lastHeardAt === undefined) return
    const { current } = slot
    Object.assign(slot, { current: generation, next: undefined })
    void end(current)
  }

  function newsOf({ number, configured, watcher, told }: Generation, before: readonly Service[]): SourceNews {
    const { source, options: own } = configured
    const names = new Set(told.services.map(({ name }) => name))
    const known = new Set(before)
    return {
      source: source.name,
      generation: number,
      options: source.takesUrls === true ? own : null,
      changed: told.services.filter((service) => !known.has(service)),
      gone: before.flatMap(({ name }) => (names.has(name) ? [] : [name])),
      heardAt: watcher.status().lastHeardAt,
      error: told.error,
    }
  }

  async function end({ number, watcher }: Generation): Promise<void> {
    retire(number)
    await watcher.stop()
  }

  const generations = () => slots.flatMap(({ current, next }) => [current, ...(next ? [next] : [])])
  return {
    start() {
      for (const { watcher } of generations()) watcher.start()
    },
    async stop() {
      await Promise.all(generations().map(({ watcher }) => watcher.stop()))
    },
    everything: () => generations().map((generation) => newsOf(generation, [])),
    ready: () => slots.every(({ current }) => current.watcher.snapshot() !== undefined),
    reload(sources) {
      for (const slot of slots) {
        const { configured } = slot.next ?? slot.current
        const changed = sources.find(({ source }) => source.name === configured.source.name)
        if (changed === undefined || changed === configured) continue
        if (slot.next !== undefined) void end(slot.next)
        slot.next = createGeneration(changed)
        slot.next.watcher.start()
      }
    },
  }
}

/** The source, with `said` called after each of its words, whatever it is, has come to whoever watches it. */
function overheard(source: DiscoverySource, said: () => void): DiscoverySource {
  return {
    ...source,
    async watch(options, publish, context) {
      try {
        await source.watch(
          options,
          (services, heardAt) => {
            publish(services, heardAt)
            said()
          },
          context,
        )
      } finally {
        // The watcher hears of a failure after us.
        setImmediate(said)
      }
    },
  }
}
