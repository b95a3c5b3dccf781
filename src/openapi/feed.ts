import type { Log } from '../observability/log.ts'
import type { Collected, CollectorLimits } from './collect.ts'
import { DocumentUnavailable } from './fetch-document.ts'
import { inspect } from './inspect.ts'
import type { Json } from './json.ts'

/** Where a service's document is to be had. */
export interface FeedSource {
  /** False where the service says that it has none. */
  readonly path: string | false
  readonly origins: readonly string[]
}

export interface Feed {
  current(): Collected
  /** Asks again at once where something has changed, though not more often than once in `retryMs`. */
  update(source: FeedSource): void
  stop(): void
}

export interface FeedOptions {
  readonly service: string
  readonly log: Log
  readonly random: () => number
  readonly limits: Pick<CollectorLimits, 'intervalMs' | 'retryMs'>
  readonly fetch: (url: URL, signal: AbortSignal) => Promise<Json>
  /** Called whenever `current` has changed. */
  readonly onChange: () => void
}

const none: Collected = { status: 'none', reason: 'the service says that it has none' }

/** Keeps one service's document fresh: one fetch at a time, back-off while it fails, the last good one kept. */
export function createFeed({ service, log, random, limits, fetch, onChange }: FeedOptions): Feed {
  const stopping = new AbortController()
  let state: Collected = { status: 'waiting' }
  let source: FeedSource | undefined
  let timer: NodeJS.Timeout | undefined
  let fetching = false
  let changed = false
  let startedAt = -Infinity
  let attempts = 0
  let failures = 0

  function schedule(delayMs: number): void {
    clearTimeout(timer)
    if (stopping.signal.aborted) return
    timer = setTimeout(() => void run(), delayMs).unref()
  }

  async function run(): Promise<void> {
    if (source === undefined || source.path === false) return
    const { path, origins } = source
    if (origins.length === 0)
      return unavailable('unavailable', 'cannot be fetched: no instance of the service is up')
    fetching = true
    changed = false
    startedAt = performance.now()
    // The next instance at the next attempt: one that is broken does not hide the others.
    const origin = origins[attempts % origins.length]!
    attempts += 1
    try {
      const inspection = inspect(await fetch(new URL(path, origin), stopping.signal))
      if ('document' in inspection) {
        succeed({ status: 'ok', document: inspection.document, fetchedAt: Date.now() })
      } else fail(inspection.status, inspection.reason)
    } catch (error) {
      if (stopping.signal.aborted) return
      fail('unavailable', error instanceof DocumentUnavailable ? error.message : 'cannot be read')
    } finally {
      fetching = false
    }
    schedule(changed ? limits.retryMs : nextDelay())
  }

  function succeed(next: Collected): void {
    // It has said meanwhile that it has none.
    if (state === none) return
    if (failures > 0) log.info({ service }, `openapi: the document of ${service} is there again`)
    failures = 0
    set(next)
  }

  function fail(status: Collected['status'], reason: string): void {
    failures += 1
    unavailable(status, reason)
  }

  function unavailable(status: Collected['status'], reason: string): void {
    if (state === none) return
    if (state.reason !== reason) log.warn({ service }, `openapi: the document of ${service} ${reason}`)
    const { document, fetchedAt } = state
    set(document === undefined ? { status, reason } : { status: 'stale', reason, document, fetchedAt })
  }

  function set(next: Collected): void {
    state = next
    onChange()
  }

  function nextDelay(): number {
    if (failures === 0) return limits.intervalMs
    const backoffMs = Math.min(limits.intervalMs, limits.retryMs * 2 ** Math.min(failures - 1, 20))
    return backoffMs * (0.5 + random() / 2)
  }

  return {
    current: () => state,
    update(next) {
      if (source?.path === next.path && sameOrigins(source.origins, next.origins)) return
      source = next
      if (next.path === false) {
        clearTimeout(timer)
        if (state !== none) set(none)
        return
      }
      if (state === none) set({ status: 'waiting' })
      changed = true
      if (!fetching) schedule(Math.max(0, startedAt + limits.retryMs - performance.now()))
    },
    stop() {
      clearTimeout(timer)
      stopping.abort()
    },
  }
}

/** The very same list, as a rule: then nothing has to be compared. */
const sameOrigins = (one: readonly string[], other: readonly string[]) =>
  one === other || one.join() === other.join()
