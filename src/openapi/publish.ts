import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'
import type { DocumentCollector, TableReader } from './collect.ts'
import type { JsonObject } from './json.ts'
import { createMergeInputs } from './merge-inputs.ts'
import { createSingles } from './publish-single.ts'
import { JobFailed, type ServedDocument, type Workshop } from './workshop.ts'

export interface PublisherOptions {
  /** The gateway's own document. */
  readonly own: JsonObject
  readonly routePrefix: string
  readonly table: TableReader
  readonly collector: Pick<DocumentCollector, 'collected' | 'version' | 'subscribe' | 'giveUp'>
  readonly workshop: Pick<Workshop, 'merge'>
  readonly log: Log
  readonly limits?: Partial<PublisherLimits>
}

export interface PublisherLimits {
  /** Between the beginnings of two merges; longer where they take long. */
  readonly pauseMs: number
  /** How long a request waits for a document that is not there yet. */
  readonly waitMs: number
  /** Of all documents of single services that are kept ready. */
  readonly cacheBytes: number
}

const usualLimits: PublisherLimits = { pauseMs: 1000, waitMs: 15_000, cacheBytes: 64 * 1024 * 1024 }

/** After a merge that took long. */
const maxRestMs = 5000

/** The documents as they are served. */
export interface Publisher {
  /**
   * All in one, at once: what has changed is shown once it is merged. Only where there is none yet is one waited for.
   *
   * @throws GatewayError document_unavailable
   */
  whole(): ServedDocument | Promise<ServedDocument>
  /**
   * One service's alone, merged when somebody asks. Undefined where there is none.
   *
   * @throws GatewayError document_unavailable
   */
  single(service: string): ServedDocument | Promise<ServedDocument> | undefined
  start(): void
  /** Ends what waits; a merge under way ends with the workshop. */
  stop(): void
}

/**
 * Keeps the merged document: merged at once after a change where it is quiet, about once in `pauseMs` where it is not.
 * Nothing is merged before a service has given a document or somebody has asked.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { table, collector, workshop, log } = options
  const limits = { ...usualLimits, ...options.limits }
  const stopping = new AbortController()
  const inputs = createMergeInputs(options)
  const singles = createSingles({ inputs, workshop, cacheBytes: limits.cacheBytes, signal: stopping.signal })
  let latest: ServedDocument | undefined
  let first: PromiseWithResolvers<ServedDocument> | undefined
  /** Of what the last merge was made, or came to nothing. */
  let settledKey: string | undefined
  let merging = false
  let timer: NodeJS.Timeout | undefined
  let nextAt = -Infinity
  let unsubscribe = () => {}

  function follow(): void {
    if (merging || timer !== undefined || stopping.signal.aborted) return
    if (first === undefined && latest === undefined && !inputs.hasDocument()) return
    const waitMs = nextAt - performance.now()
    if (waitMs <= 0) return void mergeAll()
    timer = setTimeout(() => {
      timer = undefined
      void mergeAll()
    }, waitMs).unref()
  }

  async function mergeAll(): Promise<void> {
    const key = inputs.key()
    if (key === settledKey) return
    const startedAt = performance.now()
    const job = inputs.job()
    merging = true
    nextAt = startedAt + limits.pauseMs
    try {
      latest = await workshop.merge(job, stopping.signal)
      first?.resolve(latest)
      // One that takes long leaves the machine as long for other things.
      const endedAt = performance.now()
      nextAt = Math.max(nextAt, endedAt + Math.min(endedAt - startedAt, maxRestMs))
    } catch (error) {
      if (stopping.signal.aborted) return
      const reason = error instanceof JobFailed ? error.message : 'failed'
      log.error({}, `openapi: the documents cannot be merged: that ${reason}; the last merged one stays`)
      // The likeliest cause; the others are merged without it.
      const largest = job.services.toSorted((a, b) => size(b.document) - size(a.document))[0]
      if (largest?.document === undefined) first?.reject(notThere('It cannot be made.'))
      else collector.giveUp(largest.name, largest.document, `is left out: merging it ${reason}`)
    } finally {
      merging = false
    }
    settledKey = key
    follow()
  }

  function firstOne(): PromiseWithResolvers<ServedDocument> {
    const resolvers = Promise.withResolvers<ServedDocument>()
    resolvers.promise.catch(() => {
      first = undefined
    })
    return resolvers
  }

  return {
    whole() {
      if (latest !== undefined) return latest
      first ??= firstOne()
      settledKey = undefined
      follow()
      return waited(first.promise, limits.waitMs)
    },
    single(service) {
      const document = singles.get(service)
      return document instanceof Promise ? waited(document, limits.waitMs) : document
    },
    start() {
      const ends = [table.subscribe(follow), collector.subscribe(follow)]
      unsubscribe = () => ends.forEach((end) => void end())
      follow()
    },
    stop() {
      stopping.abort()
      clearTimeout(timer)
      unsubscribe()
      first?.reject(notThere('The gateway is stopping.'))
    },
  }
}

async function waited<T>(promise: Promise<T>, waitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(notThere('It is still being put together.')), waitMs)
  })
  try {
    return await Promise.race([promise, late])
  } catch (error) {
    throw error instanceof GatewayError ? error : notThere('It cannot be put together.')
  } finally {
    clearTimeout(timer)
  }
}

const notThere = (detail: string) =>
  new GatewayError('document_unavailable', { detail, headers: { 'Retry-After': '2' } })

const size = (bytes: Uint8Array | undefined) => bytes?.length ?? 0
