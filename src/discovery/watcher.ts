import { isDeepStrictEqual } from 'node:util'
import type { ConfiguredSource } from '../config/config.ts'
import type { Log } from '../observability/log.ts'
import type { Instance, Service } from './source.ts'

/** How a source is doing, for readiness, metrics and the operator. */
export interface SourceStatus {
  readonly source: string
  /** `starting` until the first snapshot; `failing` serves the last one known. */
  readonly state: 'starting' | 'live' | 'failing'
  /** Milliseconds since the epoch of the last word from the source, changed or not. */
  readonly lastHeardAt: number | undefined
  readonly lastError: string | undefined
  /** How often it has said something new. */
  readonly changes: number
  /** It says everything at once and has nothing to ask: its last word does not grow old. */
  readonly isFixed: boolean
}

export interface Watcher {
  start(): void
  /** Ends the source and waits for it, though not longer than `stopTimeoutMs`. */
  stop(): Promise<void>
  status(): SourceStatus
  /** The last snapshot, sorted; undefined until the first. */
  snapshot(): readonly Service[] | undefined
}

export interface WatcherOptions {
  readonly configured: ConfiguredSource
  /** What a watcher before it knew: a service of these that has not changed stays the very same one. */
  readonly known?: readonly Service[] | undefined
  readonly log: Log
  /** Called for every snapshot that differs from the one before. */
  readonly onChange: () => void
  readonly random?: () => number
  readonly backoff?: { readonly firstMs: number; readonly mostMs: number }
  /** How long a source may take to end once it is told to. */
  readonly stopTimeoutMs?: number
}

/** A watch that lasted this long was a good one. */
const steadyMs = 10_000

/**
 * Keeps one source going: restarts it with jittered, doubling back-off when it fails or ends, drops snapshots
 * that say nothing new, and keeps the last one known whatever happens to the source.
 *
 * The ceiling of 4 s (client-go's is 30 s) is what lets a gateway that was started before its Consul be ready
 * within 5 s of it; a gateway is one client, not a fleet of kubelets.
 */
export function createWatcher(options: WatcherOptions): Watcher {
  const {
    configured,
    known,
    log,
    onChange,
    random = Math.random,
    backoff = { firstMs: 400, mostMs: 4000 },
    stopTimeoutMs = 2000,
  } = options
  const name = configured.source.name
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  let snapshot: readonly Service[] | undefined
  const normalize = createNormalizing()
  let state: SourceStatus['state'] = 'starting'
  let lastHeardAt: number | undefined
  let lastError: string | undefined
  let failures = 0
  let changes = 0

  function publish(services: readonly Service[], heardAt = Date.now()): void {
    if (stopping.signal.aborted) return
    lastHeardAt = heardAt
    if (state === 'failing') log.info({ source: name }, `discovery: ${name} answers again`)
    state = 'live'
    lastError = undefined
    const next = normalize(services, snapshot ?? known)
    if (next === snapshot) return
    snapshot = next
    changes += 1
    onChange()
  }

  function fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    // Once for each new fault: an outage of an hour is one line, not a thousand.
    if (message !== lastError) {
      const kept = snapshot === undefined ? 'nothing known yet' : 'serving the last known'
      log.warn({ source: name }, `discovery: ${name} fails (${kept}): ${message}`)
    }
    lastError = message
    if (state === 'live') state = 'failing'
  }

  async function run(): Promise<void> {
    const { signal } = stopping
    while (!signal.aborted) {
      const startedAt = Date.now()
      try {
        const context = { log, signal, fail, lastKnown: snapshot }
        await configured.source.watch(configured.options, publish, context)
        if (!signal.aborted) fail(new Error('the source ended without being asked to'))
      } catch (error) {
        if (!signal.aborted) fail(error)
      }
      if (signal.aborted) return
      // Only a watch that held starts afresh: one that answers and breaks at once must not become a loop.
      if (Date.now() - startedAt > steadyMs) failures = 0
      const ceiling = Math.min(backoff.firstMs * 2 ** failures, backoff.mostMs)
      failures += 1
      await pause(ceiling * (0.5 + random() / 2), signal)
    }
  }

  return {
    start() {
      running ??= run()
    },
    async stop() {
      stopping.abort()
      const finished = new AbortController()
      const tooLate = pause(stopTimeoutMs, finished.signal).then(() => {
        if (!finished.signal.aborted)
          log.warn({ source: name }, `discovery: ${name} did not end when told to`)
      })
      await Promise.race([running, tooLate])
      finished.abort()
    },
    status: () => ({
      ...{ source: name, state, lastHeardAt, lastError, changes },
      isFixed: configured.source.isFixed === true,
    }),
    snapshot: () => snapshot,
  }
}

/**
 * Order is not information: two snapshots that differ in it only are the same. A service that has not changed is the
 * very same one as before, so that an update costs what has changed; one that the source hands over again as it is
 * is not even compared.
 */
function createNormalizing() {
  const known = new WeakMap<Service, Service>()
  return (services: readonly Service[], before: readonly Service[] = []): readonly Service[] => {
    const byName = new Map(before.map((service) => [service.name, service]))

    function normalized(service: Service): Service {
      const sorted = { ...service, instances: service.instances.toSorted(byId) }
      const last = byName.get(service.name)
      return isDeepStrictEqual(sorted, last) ? last! : sorted
    }

    const next = services
      .map((service) => {
        const one = known.get(service) ?? normalized(service)
        known.set(service, one)
        return one
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const isSame = next.length === before.length && next.every((service, index) => service === before[index])
    return isSame ? before : next
  }
}

const byId = (a: Instance, b: Instance) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** Waits, or returns at once when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
