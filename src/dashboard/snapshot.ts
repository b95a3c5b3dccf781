import { addUpRoutes } from '../admin/add-up-routes.ts'
import type { RoutesView } from '../admin/list-routes.ts'
import type { AddressBook } from '../discovery/address-book.ts'
import type { SourceStatus } from '../discovery/watcher.ts'
import type { Collected } from '../openapi/collect.ts'
import type { DatabaseState } from '../persistence/database.ts'
import type { KeyRingStatus } from '../tokens/keys.ts'
import { addUpTraffic, type Point, pointsOf, type Rate, rateOf, totalTraffic } from './add-up-traffic.ts'
import type { ProcessStatus } from './process-status.ts'
import { type ServiceView, viewServices } from './service-view.ts'
import type { SlotRow } from './traffic.ts'

/** What the process that was asked knows for all of them. */
export interface Asked {
  readonly version: string
  readonly state: () => 'starting' | 'ready' | 'stopping'
  readonly addressBook: Pick<AddressBook, 'sources' | 'provenance'>
  /** Each undefined where the gateway has no tokens of its own. */
  readonly tokens: {
    readonly database: (() => DatabaseState) | undefined
    readonly signing: (() => string) | undefined
    readonly keys: (() => KeyRingStatus) | undefined
  }
  /** The services' API documents. */
  readonly documents: () => ReadonlyMap<string, Pick<Collected, 'status' | 'reason' | 'fetchedAt'>>
}

/** All that a dashboard shows, but for the charts' points. */
export interface Snapshot {
  readonly gateway: GatewayView
  /** gateway.yaml; null where none is followed. */
  readonly config: NonNullable<RoutesView['config']> | null
  readonly sources: readonly SourceStatus[]
  /** What the address book could not make sense of. */
  readonly problems: readonly string[]
  /** Null where the gateway has none of its own. */
  readonly tokens: TokensView | null
  readonly services: ReadonlyMap<string, ServiceView>
}

interface GatewayView extends Rate {
  readonly version: string
  readonly state: 'starting' | 'ready' | 'stopping'
  readonly routes: number
  readonly active: number
  /** The one that was asked first. */
  readonly workers: readonly Pick<ProcessStatus, 'startedAt' | 'delayMs' | 'shed'>[]
}

interface TokensView {
  readonly database: DatabaseState
  readonly signing: string
  readonly keys: KeyRingStatus['keys']
  readonly nextRotationAt: number | null
}

/** Points by service; under the empty name those of all services together. */
export type Points = ReadonlyMap<string, readonly Point[]>

/** What all processes together are doing, at one moment. */
export function takeSnapshot(all: readonly [ProcessStatus, ...ProcessStatus[]], asked: Asked): Snapshot {
  const routes = addUpRoutes([all[0].routes, ...all.slice(1).map(({ routes }) => routes)])
  const traffic = addUpTraffic([all[0].traffic, ...all.slice(1).map(({ traffic }) => traffic)])
  const rate = (rows: readonly SlotRow[] | undefined) => rateOf(rows, traffic.newest)
  return {
    gateway: {
      version: asked.version,
      state: asked.state(),
      routes: routes.table.routes,
      active: all.reduce((sum, { active }) => sum + active, 0),
      workers: all.map(({ startedAt, delayMs, shed }) => ({ startedAt, delayMs, shed })),
      ...rate(totalTraffic(traffic)),
    },
    config: routes.config ?? null,
    sources: asked.addressBook.sources(),
    problems: routes.problems,
    tokens: viewTokens(asked.tokens),
    services: viewServices({
      routes: routes.routes,
      documents: asked.documents(),
      provenanceOf: asked.addressBook.provenance,
      rateOf: (service) => rate(traffic.services[service]),
    }),
  }
}

/** @param all what each process has kept of the time that is asked for */
export function takePoints(all: readonly [ProcessStatus['traffic'], ...ProcessStatus['traffic'][]]): {
  readonly newest: number
  readonly points: Points
} {
  const traffic = addUpTraffic(all)
  const { newest, services } = traffic
  const own = Object.entries(services).map(([service, rows]) => [service, pointsOf(rows, newest)] as const)
  return { newest, points: new Map([['', pointsOf(totalTraffic(traffic), newest)] as const, ...own]) }
}

function viewTokens({ database, signing, keys }: Asked['tokens']): TokensView | null {
  if (database === undefined || signing === undefined || keys === undefined) return null
  const { nextRotationAt, ...ring } = keys()
  return { database: database(), signing: signing(), ...ring, nextRotationAt: nextRotationAt ?? null }
}
