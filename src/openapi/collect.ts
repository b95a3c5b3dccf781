import type { Table } from '../discovery/table.ts'
import type { Log } from '../observability/log.ts'
import { createFeed, type Feed, type FeedSource } from './feed.ts'
import { createDocumentAgent, fetchDocument } from './fetch-document.ts'
import type { JsonObject } from './json.ts'
import type { PublishedRoute } from './public-paths.ts'

/** What is known of one service's document. */
export interface Collected {
  /**
   * `ok`; `stale`: the last good one, since the service gives none now; `unavailable`, `unsupported`,
   * `invalid`: there is none to show; `none`: the service says that it has none; `waiting`: not asked yet.
   */
  readonly status: 'ok' | 'stale' | 'unavailable' | 'unsupported' | 'invalid' | 'none' | 'waiting'
  /** Why it is not `ok`, in words that may be shown to anybody. */
  readonly reason?: string | undefined
  readonly document?: JsonObject | undefined
  /** When the document was fetched, in milliseconds since the epoch. */
  readonly fetchedAt?: number | undefined
}

export interface DocumentCollector {
  /** By service name, for every service of the table. Never waits. */
  collected(): ReadonlyMap<string, Collected>
  /** Grows whenever what `collected` gives has changed. */
  version(): number
  start(): void
  /** Ends every fetch and timer. */
  stop(): Promise<void>
}

export interface TableReader {
  current(): { readonly version: number; readonly routes: readonly PublishedRoute[] }
  /** Calls back after every swap; gives the function that ends it. */
  subscribe(listener: (table: Table) => void): () => void
}

export interface CollectorOptions {
  readonly table: TableReader
  readonly log: Log
  readonly random?: () => number
  readonly limits?: Partial<CollectorLimits>
}

export interface CollectorLimits {
  /** Between two fetches of a document that is there. */
  readonly intervalMs: number
  /** Before the first repetition of a failed fetch; doubles, with jitter, up to the interval. */
  readonly retryMs: number
  readonly timeoutMs: number
  readonly maxBytes: number
  /** Fetches at once. */
  readonly concurrency: number
}

const usualLimits: CollectorLimits = {
  intervalMs: 60_000,
  retryMs: 1000,
  timeoutMs: 5000,
  maxBytes: 5 * 1024 * 1024,
  concurrency: 8,
}

/**
 * Keeps each service's OpenAPI document: fetched from one of its instances when the table changes and
 * periodically, in the background. Where a service gives none, the last good one stands.
 */
export function createDocumentCollector(options: CollectorOptions): DocumentCollector {
  const { table, log, random = Math.random } = options
  const limits = { ...usualLimits, ...options.limits }
  const agent = createDocumentAgent(limits)
  const stopping = new AbortController()
  const feeds = new Map<string, Feed>()
  const waiting: (() => void)[] = []
  const sourcesOf = createSources()
  let running = 0
  let version = 0
  let unsubscribe = () => {}

  /** Lets only so many fetches run at once: hundreds of services start together. */
  async function inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (running >= limits.concurrency) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }

  function follow(): void {
    const sources = sourcesOf(table.current().routes)
    for (const [service, feed] of feeds) {
      if (sources.has(service)) continue
      feed.stop()
      feeds.delete(service)
      version += 1
    }
    for (const [service, source] of sources) {
      const feed = feeds.get(service) ?? addFeed(service)
      feed.update(source)
    }
  }

  function addFeed(service: string): Feed {
    const feed = createFeed({
      service,
      log,
      random,
      limits,
      fetch: (url, signal) => inTurn(() => fetchDocument(url, agent, limits, signal)),
      onChange: () => {
        version += 1
      },
    })
    feeds.set(service, feed)
    version += 1
    return feed
  }

  return {
    collected: () => new Map([...feeds].map(([service, feed]) => [service, feed.current()])),
    version: () => version,
    start() {
      if (stopping.signal.aborted) return
      unsubscribe = table.subscribe(follow)
      follow()
    },
    async stop() {
      stopping.abort()
      unsubscribe()
      for (const feed of feeds.values()) feed.stop()
      await agent.destroy()
    },
  }
}

/**
 * Every service once: its routes share instances and document. What is to be had where it was in an earlier table is
 * the very same object.
 */
function createSources() {
  const known = new WeakMap<PublishedRoute['instances'], FeedSource>()

  return (routes: readonly PublishedRoute[]): Map<string, FeedSource> => {
    const sources = new Map<string, FeedSource>()
    for (const { service, openapi, instances } of routes) {
      const last = known.get(instances)
      const source =
        last?.path === openapi
          ? last
          : { path: openapi, origins: last?.origins ?? instances.map(({ origin }) => origin) }
      known.set(instances, source)
      sources.set(service, source)
    }
    return sources
  }
}
