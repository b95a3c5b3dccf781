import type { Table } from '../discovery/table.ts'
import type { Log } from '../observability/log.ts'
import { createFeed, type Feed, type FeedSource } from './feed.ts'
import { createDocumentAgent, fetchDocument } from './fetch-document.ts'
import { type DocumentLimits, documentLimits } from './limits.ts'
import type { PublishedRoute } from './public-paths.ts'
import type { Workshop } from './workshop.ts'

/** What is known of one service's document. */
export interface Collected {
  /**
   * `ok`; `stale`: the last good one, since the service gives none now; `unavailable`, `unsupported`,
   * `invalid`: there is none to show; `none`: the service says that it has none; `waiting`: not asked yet.
   */
  readonly status: 'ok' | 'stale' | 'unavailable' | 'unsupported' | 'invalid' | 'none' | 'waiting'
  /** Why it is not `ok`, in words that may be shown to anybody. */
  readonly reason?: string | undefined
  /** OpenAPI 3.1 as JSON, and what merging wants to know of it (read-document.ts). */
  readonly document?: Uint8Array | undefined
  readonly outline?: Uint8Array | undefined
  /** What the document was converted from. */
  readonly converted?: string | undefined
  /** When the service last gave the document or said that it is the same, in milliseconds since the epoch. */
  readonly fetchedAt?: number | undefined
}

export interface DocumentCollector {
  /** By service name, for every service of the table. Never waits. */
  collected(): ReadonlyMap<string, Collected>
  /** Grows whenever what `collected` gives has changed. */
  version(): number
  /** Calls back after every change; gives the function that ends it. */
  subscribe(listener: () => void): () => void
  /** Drops a document that does harm; what the service gives is taken again once it is another. */
  giveUp(service: string, document: Uint8Array, reason: string): void
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
  /** Where documents are read. */
  readonly workshop: Pick<Workshop, 'read'>
  readonly log: Log
  readonly random?: () => number
  readonly limits?: Partial<DocumentLimits>
}

/**
 * Keeps each service's OpenAPI document: fetched from one of its instances when the table changes and
 * periodically, in the background. Where a service gives none, the last good one stands.
 */
export function createDocumentCollector(options: CollectorOptions): DocumentCollector {
  const { table, workshop, log, random = Math.random } = options
  const limits = { ...documentLimits, ...options.limits }
  const agent = createDocumentAgent(limits)
  const stopping = new AbortController()
  const feeds = new Map<string, Feed>()
  const waiting: (() => void)[] = []
  const listeners = new Set<() => void>()
  const sourcesOf = createSources()
  let running = 0
  let version = 0
  let unsubscribe = () => {}

  /** Lets only so many services be at it at once: hundreds start together, and what was fetched takes memory. */
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

  function tell(): void {
    version += 1
    for (const listener of listeners) listener()
  }

  /** The last one to come is the one that does not fit. */
  function refuse(service: string, next: Collected): string | undefined {
    let total = keptBytes(next)
    for (const [name, feed] of feeds) if (name !== service) total += keptBytes(feed.current())
    if (total <= limits.maxTotalBytes) return undefined
    return `does not fit: all documents together would be larger than ${limits.maxTotalBytes} bytes`
  }

  function follow(): void {
    const sources = sourcesOf(table.current().routes)
    for (const [service, feed] of feeds) {
      if (sources.has(service)) continue
      feed.stop()
      feeds.delete(service)
      tell()
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
      inTurn,
      fetch: (place, known, signal) => fetchDocument(place, known, agent, limits, signal),
      read: workshop.read,
      refuse: (next) => refuse(service, next),
      onChange: tell,
    })
    feeds.set(service, feed)
    tell()
    return feed
  }

  return {
    collected: () => new Map([...feeds].map(([service, feed]) => [service, feed.current()])),
    version: () => version,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    giveUp: (service, document, reason) => feeds.get(service)?.giveUp(document, reason),
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
      const source = last?.path === openapi ? last : { path: openapi, instances }
      known.set(instances, source)
      sources.set(service, source)
    }
    return sources
  }
}

/** What is kept of a document, in bytes. */
function keptBytes({ document, outline }: Pick<Collected, 'document' | 'outline'>): number {
  return (document?.length ?? 0) + (outline?.length ?? 0)
}
