import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { DiscoverySources } from '../config/sources.ts'
import type { DiscoverySource, Service, SourceInput } from '../discovery/source.ts'
import type { SourceNews } from './messages.ts'
import { isRelayed } from './relay.ts'

/** What the primary's sources say, in a worker. */
export interface SourceFeed {
  take(news: SourceNews): void
  retire(generation: number): void
  /** The sources there are, with those that one process asks for all replaced by ones that only listen. */
  relayed(sources: DiscoverySources): DiscoverySources
}

/** One of the primary's sources with one set of settings, as far as it has been told of. */
interface Heard {
  readonly source: string
  readonly options: unknown
  readonly byName: Map<string, Service>
  /** The same array until something changes. */
  services: readonly Service[]
  heardAt: number | undefined
  error: string | undefined
}

/** @param first all that the primary knew when this worker began */
export function createSourceFeed(first: readonly SourceNews[]): SourceFeed {
  const generations = new Map<number, Heard>()
  const listeners = new Set<(heard: Heard) => void>()

  function take({ source, generation, options, changed, gone, heardAt, error }: SourceNews): void {
    let heard = generations.get(generation)
    if (heard === undefined) {
      heard = { source, options, byName: new Map(), services: [], heardAt, error }
      generations.set(generation, heard)
    }
    for (const service of changed) heard.byName.set(service.name, service)
    for (const name of gone) heard.byName.delete(name)
    if (changed.length > 0 || gone.length > 0) heard.services = [...heard.byName.values()]
    Object.assign(heard, { heardAt, error })
    for (const listener of listeners) listener(heard)
  }

  /**
   * Settings that gateway.yaml may change are read as the source itself reads them, since they tell of which of the
   * primary's sources this is; the others are the primary's business, and so are the files that they name.
   */
  function listening({ name, takesUrls = false, settings }: DiscoverySource): DiscoverySource {
    return {
      name,
      takesUrls,
      settings: takesUrls ? settings : z.custom<SourceInput>().transform(() => null),
      watch(options, publish, { fail, signal }) {
        let published: readonly Service[] | undefined
        const hear = ({ source, options: theirs, services, heardAt, error }: Heard) => {
          if (source !== name || !isDeepStrictEqual(theirs, options)) return
          // What is published counts as heard of: a source that fails is not, though a worker that joins has to know.
          if (heardAt !== undefined && (error === undefined || services !== published)) {
            published = services
            publish(services, heardAt)
          }
          if (error !== undefined) fail(new Error(error))
        }
        for (const heard of generations.values()) hear(heard)
        listeners.add(hear)
        return new Promise((resolve) => {
          const end = () => {
            listeners.delete(hear)
            resolve()
          }
          if (signal.aborted) end()
          else signal.addEventListener('abort', end, { once: true })
        })
      },
    }
  }

  for (const news of first) take(news)
  return {
    take,
    retire: (generation) => void generations.delete(generation),
    relayed: (sources) =>
      Object.fromEntries(
        Object.entries(sources).map(([name, source]) => [
          name,
          isRelayed(source) ? listening(source) : source,
        ]),
      ),
  }
}
