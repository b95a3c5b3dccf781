import type { Instance } from '../discovery/source.ts'
import type { Log } from '../observability/log.ts'
import type { Collected } from './collect.ts'
import { type DocumentPlace, DocumentUnavailable, type Fetched, type Validators } from './fetch-document.ts'
import type { DocumentLimits } from './limits.ts'
import type { Reading } from './read-document.ts'
import { JobFailed, type RawDocument } from './workshop.ts'

/** Where a service's document is to be had. */
export interface FeedSource {
  /** False where the service says that it has none. */
  readonly path: string | false
  readonly instances: readonly Pick<Instance, 'origin' | 'serverName'>[]
}

export interface Feed {
  current(): Collected
  /** Asks again at once where something has changed, though not more often than once in `retryMs`. */
  update(source: FeedSource): void
  /** Drops this document, if it is still the current one, until another comes. */
  giveUp(document: Uint8Array, reason: string): void
  stop(): void
}

export interface FeedOptions {
  readonly service: string
  readonly log: Log
  readonly random: () => number
  readonly limits: Pick<DocumentLimits, 'intervalMs' | 'retryMs'>
  /** Runs it when it is its turn among all services. */
  readonly inTurn: <T>(task: () => Promise<T>) => Promise<T>
  readonly fetch: (
    place: DocumentPlace,
    known: Validators | undefined,
    signal: AbortSignal,
  ) => Promise<Fetched>
  readonly read: (raw: RawDocument, signal: AbortSignal) => Promise<Reading>
  /** Whether what a service gives may be kept; the reason why not. */
  readonly refuse: (document: Collected) => string | undefined
  /** Called whenever `current` has changed in more than when the document was fetched. */
  readonly onChange: () => void
}

const none: Collected = { status: 'none', reason: 'the service says that it has none' }

/** What came last, and what became of it: the same bytes are not read a second time. */
interface Known {
  readonly hash: string
  readonly outcome: Reading
  /** By server and URL: of every instance whose last answer this was. */
  readonly validators: Map<string, Validators>
  /** When reading it again may come to something else, by `performance.now`. */
  readonly staleAt: number
}

/** Keeps one service's document fresh: one fetch at a time, back-off while it fails, the last good one kept. */
export function createFeed(options: FeedOptions): Feed {
  const { service, log, random, limits, inTurn, fetch, read, refuse, onChange } = options
  const stopping = new AbortController()
  let state: Collected = { status: 'waiting' }
  let source: FeedSource | undefined
  let known: Known | undefined
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
    const { path, instances } = source
    if (instances.length === 0)
      return unavailable('unavailable', 'cannot be fetched: no instance of the service is up')
    fetching = true
    changed = false
    startedAt = performance.now()
    // The next instance at the next attempt: one that is broken does not hide the others.
    const { origin, serverName } = instances[attempts % instances.length]!
    attempts += 1
    try {
      const outcome = await inTurn(() => ask({ url: new URL(path, origin), serverName }))
      if (stopping.signal.aborted) return
      if (outcome.status === 'ok') succeed(outcome)
      else fail(outcome.status, outcome.reason)
    } catch (error) {
      if (stopping.signal.aborted) return
      fail('unavailable', error instanceof DocumentUnavailable ? error.message : 'cannot be read')
    } finally {
      fetching = false
    }
    schedule(changed ? limits.retryMs : nextDelay())
  }

  async function ask(place: DocumentPlace): Promise<Reading> {
    const before = known
    const isStale = before !== undefined && performance.now() > before.staleAt
    const key = `${place.serverName ?? ''} ${place.url.href}`
    const conditions = isStale ? undefined : before?.validators.get(key)
    const fetched = await fetch(place, conditions, stopping.signal)
    // What is known may have been dropped meanwhile: the answer is about what was known when it was asked for.
    if (fetched === 'unchanged') return (known ?? before)!.outcome
    const { hash, raw, validators } = fetched
    if (known?.hash !== hash || isStale) known = await readOnce(hash, raw)
    // Instances come and go; those that are left say it again.
    if (known.validators.size >= maxValidators) known.validators.clear()
    known.validators.set(key, validators)
    return known.outcome
  }

  async function readOnce(hash: string, raw: RawDocument): Promise<Known> {
    const validators = new Map<string, Validators>()
    try {
      return { hash, validators, outcome: await read(raw, stopping.signal), staleAt: Infinity }
    } catch (error) {
      if (!(error instanceof JobFailed)) throw error
      const outcome = { status: 'invalid', reason: `cannot be read: that ${error.message}` } as const
      // It would do so again, unless the machine was at fault.
      return { hash, validators, outcome, staleAt: performance.now() + 10 * limits.intervalMs }
    }
  }

  function succeed({ document, outline, converted }: Reading & { readonly status: 'ok' }): void {
    // It has said meanwhile that it has none.
    if (state === none) return
    const next = { status: 'ok', document, outline, converted, fetchedAt: Date.now() } as const
    const refusal = document === state.document ? undefined : refuse(next)
    if (refusal !== undefined) {
      known = undefined
      fail('invalid', refusal)
      return
    }
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
    set(state.document === undefined ? { status, reason } : { ...state, status: 'stale', reason })
  }

  function set(next: Collected): void {
    const { status, reason, document } = state
    state = next
    if (next.status !== status || next.reason !== reason || next.document !== document) onChange()
  }

  function nextDelay(): number {
    if (failures === 0) return limits.intervalMs
    const backoffMs = Math.min(limits.intervalMs, limits.retryMs * 2 ** Math.min(failures - 1, 20))
    return backoffMs * (0.5 + random() / 2)
  }

  return {
    current: () => state,
    update(next) {
      if (source?.path === next.path && sameInstances(source.instances, next.instances)) return
      source = next
      if (next.path === false) {
        clearTimeout(timer)
        known = undefined
        if (state !== none) set(none)
        return
      }
      if (state === none) set({ status: 'waiting' })
      changed = true
      if (!fetching) schedule(Math.max(0, startedAt + limits.retryMs - performance.now()))
    },
    giveUp(document, reason) {
      if (state.document !== document) return
      if (known?.outcome.status === 'ok' && known.outcome.document === document)
        known = { ...known, outcome: { status: 'invalid', reason } }
      state = { status: 'waiting' }
      unavailable('invalid', reason)
    },
    stop() {
      clearTimeout(timer)
      stopping.abort()
    },
  }
}

const maxValidators = 100

/** The very same list, as a rule: then nothing has to be compared. */
const sameInstances = (one: FeedSource['instances'], other: FeedSource['instances']) =>
  one === other || placesOf(one) === placesOf(other)

const placesOf = (instances: FeedSource['instances']) =>
  instances.map(({ origin, serverName = '' }) => `${origin} ${serverName}`).join()
