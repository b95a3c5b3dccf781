import type { Config, ConfiguredSource, RoutingConfig } from '../config/config.ts'
import type { Log } from '../observability/log.ts'
import { stackOf } from '../observability/stack.ts'
import { createDrafting } from './draft.ts'
import { buildRoutes, mergeSnapshots } from './merge.ts'
import type { Service } from './source.ts'
import { emptyTable, type Table } from './table.ts'
import { createWatcher, type SourceStatus, type Watcher } from './watcher.ts'

export interface AddressBook {
  /** The table now: immutable, swapped as a whole. */
  current(): Table
  /** Calls back after every swap; gives the function that ends it. */
  subscribe(listener: (table: Table) => void): () => void
  /** True once every source has given its first snapshot. An outage after that does not make it false. */
  ready(): boolean
  sources(): readonly SourceStatus[]
  /** What the services and the operator could not be brought to agree upon, one sentence each. */
  problems(): readonly string[]
  /** Where what the table says of a service comes from; undefined for one that is not known. */
  provenance(service: string): Provenance | undefined
  /** Takes over what gateway.yaml says now: the operator's word at once, a changed source once it has spoken. */
  reload(next: RoutingConfig, previous: RoutingConfig): void
  start(): void
  stop(): Promise<void>
}

/** Where a service's entry comes from. */
export interface Provenance {
  /** The source that spoke for it last, as in `DISCOVERY`. */
  readonly source: string
  /** `held`: the last known instances, of which the source no longer names any. `vanished`: nor does it the service. */
  readonly state: 'named' | 'held' | 'vanished'
}

export interface AddressBookOptions {
  readonly discovery: Config['discovery']
  /** gateway.yaml's descriptions by service name. */
  readonly overrides: Config['services']
  /** Prefixes that no service may claim. */
  readonly reserved: (prefix: string) => boolean
  readonly log: Log
  /** Milliseconds of a clock that is never set. */
  readonly now?: () => number
}

/** How long a service that nobody names any more answers 503 rather than 404, once the hold is over. */
const forgetAfterMs = 10 * 60_000
/** Changes that come faster than this are applied together. */
const settleMs = 20

/** What is remembered of a service between snapshots. */
interface Memory {
  service: Service
  /** Since when its source has named no instance; undefined while it has some. */
  emptySince: number | undefined
  vanished: boolean
}

/** A source, and what comes after it when gateway.yaml has changed its settings. */
interface Slot {
  configured: ConfiguredSource
  watcher: Watcher
  /** Takes the watcher's place with its first snapshot. */
  next: Watcher | undefined
  /** Services that `next` will not name: the operator has taken them out. */
  withdrawn: ReadonlySet<string>
}

/**
 * The address book: sources publish, requests read. Holds the last known instances of a service for `holdMs`
 * when a source says that there are none (an agent restarted empty, a mass of failed checks), since a stale
 * address is worth more than none; after that the route stays and answers 503.
 */
export function createAddressBook(options: AddressBookOptions): AddressBook {
  const { discovery, reserved, log, now = () => performance.now() } = options
  let { overrides } = options
  const draft = createDrafting(reserved)
  const memories = new Map<string, Memory>()
  const listeners = new Set<(table: Table) => void>()
  let table = emptyTable
  let settling: NodeJS.Timeout | undefined
  let expiry: NodeJS.Timeout | undefined
  let lastRebuildAt = -Infinity
  let complete = discovery.sources.length === 0
  let reported = new Set<string>()
  const spokenFor = new Map<string, string>()

  const slots = discovery.sources.map((configured): Slot => {
    const watcher = createWatcher({ configured, log, onChange: scheduleRebuild })
    return { configured, watcher, next: undefined, withdrawn: new Set() }
  })

  function replace(slot: Slot, configured: ConfiguredSource): void {
    void slot.next?.stop()
    const known = slot.watcher.snapshot()
    const watcher = createWatcher({ configured, known, log, onChange: () => takeOver(slot, watcher) })
    Object.assign(slot, { configured, next: watcher })
    watcher.start()
  }

  function takeOver(slot: Slot, watcher: Watcher): void {
    if (slot.next === watcher) {
      void slot.watcher.stop()
      Object.assign(slot, { watcher, next: undefined, withdrawn: new Set() })
    }
    scheduleRebuild()
  }

  /** What the source says now; while it is being replaced, without what has been taken out. */
  function snapshotOf({ watcher, withdrawn }: Slot): readonly Service[] | undefined {
    const snapshot = watcher.snapshot()
    return withdrawn.size === 0 ? snapshot : snapshot?.filter(({ name }) => !withdrawn.has(name))
  }

  function scheduleRebuild(): void {
    if (settling !== undefined) return
    if (now() - lastRebuildAt >= settleMs) rebuild()
    else settling = setTimeout(rebuild, settleMs)
  }

  function rebuild(): void {
    clearTimeout(settling)
    settling = undefined
    lastRebuildAt = now()
    const snapshots = slots.map(snapshotOf)
    const merged = mergeSnapshots(snapshots.map((snapshot) => snapshot ?? []))
    remember(merged)
    attribute(snapshots, merged)
    const heardAll = snapshots.every((snapshot) => snapshot !== undefined)
    const { routes, problems } = buildRoutes(memories.values(), {
      ...{ draft, overrides, previous: table },
      complete: heardAll,
    })
    for (const problem of problems) {
      if (!reported.has(problem)) log.warn({}, `address book: ${problem}`)
    }
    reported = new Set(problems)
    table = Object.freeze({ version: table.version + 1, routes: Object.freeze(routes) })
    for (const listener of listeners) tell(listener)
    complete ||= heardAll
  }

  /** Of equals it is told by identity who was heard: the rule is mergeSnapshots' alone. */
  function attribute(
    snapshots: readonly (readonly Service[] | undefined)[],
    merged: ReadonlyMap<string, Service>,
  ): void {
    for (const [index, snapshot] of snapshots.entries()) {
      for (const service of snapshot ?? []) {
        if (merged.get(service.name) === service) {
          spokenFor.set(service.name, slots[index]!.configured.source.name)
        }
      }
    }
    for (const name of spokenFor.keys()) if (!memories.has(name)) spokenFor.delete(name)
  }

  function provenance(name: string): Provenance | undefined {
    const memory = memories.get(name)
    const source = spokenFor.get(name)
    if (memory === undefined || source === undefined) return undefined
    const { vanished, emptySince, service } = memory
    const isHeld = emptySince !== undefined && service.instances.length > 0
    return { source, state: vanished ? 'vanished' : isHeld ? 'held' : 'named' }
  }

  /** A listener that breaks must not take the source down that happened to speak, nor the other listeners. */
  function tell(listener: (table: Table) => void): void {
    try {
      listener(table)
    } catch (error) {
      log.error({ stack: stackOf(error) }, 'address book: a new table could not be taken over')
    }
  }

  function remember(named: Map<string, Service>): void {
    const at = now()
    for (const [name, service] of named) {
      const memory = memories.get(name)
      if (memory?.service === service && !memory.vanished && memory.emptySince === undefined) continue
      if (service.instances.length > 0 || memory === undefined) {
        const emptySince = service.instances.length > 0 ? undefined : -Infinity
        memories.set(name, { service, emptySince, vanished: false })
      } else {
        memory.vanished = false
        emptied(memory, service, at)
      }
    }
    for (const [name, memory] of memories) {
      if (named.has(name)) continue
      memory.vanished = true
      emptied(memory, withoutInstances(memory.service), at)
      if (at - (memory.emptySince ?? at) > discovery.holdMs + forgetAfterMs) memories.delete(name)
    }
    scheduleExpiry(at)
  }

  function emptied(memory: Memory, service: Service, at: number): void {
    if (memory.emptySince === undefined) {
      memory.emptySince = at
      log.warn(
        { service: service.name },
        `address book: no instance of ${service.name} left; the last known are kept for ${discovery.holdMs} ms`,
      )
    }
    const held = at - memory.emptySince < discovery.holdMs
    const { description, instances } = memory.service
    if (!held) memory.service = service
    else if (service.description !== description) memory.service = { ...service, instances }
  }

  function scheduleExpiry(at: number): void {
    clearTimeout(expiry)
    const due = [...memories.values()].flatMap(({ emptySince, service, vanished }) => {
      if (emptySince === undefined) return []
      const heldUntil = emptySince + discovery.holdMs
      if (service.instances.length > 0) return [heldUntil]
      return vanished ? [heldUntil + forgetAfterMs + 1] : []
    })
    if (due.length > 0) expiry = setTimeout(rebuild, Math.max(1, Math.min(...due) - at)).unref()
  }

  return {
    current: () => table,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    // Not from the snapshots themselves: the table that shows the last one may be a moment away.
    ready: () => complete,
    sources: () => slots.map(({ watcher }) => watcher.status()),
    problems: () => [...reported],
    provenance,
    reload(next, previous) {
      overrides = next.services
      const changed = slots.flatMap((slot) => {
        const configured = next.sources.find(({ source }) => source.name === slot.configured.source.name)
        return configured === undefined || configured === slot.configured ? [] : [{ slot, configured }]
      })
      const withdrawn = new Set(previous.urls.keys()).difference(next.urls)
      // Whom the operator takes out is not missed: nothing of it is held.
      for (const name of withdrawn) memories.delete(name)
      for (const { slot } of changed) slot.withdrawn = slot.withdrawn.union(withdrawn).difference(next.urls)
      // Whoever speaks at once is heard in the one rebuilding below.
      settling ??= setTimeout(rebuild, settleMs)
      for (const { slot, configured } of changed) replace(slot, configured)
      rebuild()
    },
    start() {
      for (const { watcher } of slots) watcher.start()
    },
    async stop() {
      await Promise.all(slots.flatMap(({ watcher, next }) => [watcher.stop(), next?.stop()]))
      clearTimeout(settling)
      clearTimeout(expiry)
    },
  }
}

/** The very same where it has none, so that the table does not change for it. */
const withoutInstances = (service: Service): Service =>
  service.instances.length === 0 ? service : { ...service, instances: [] }
