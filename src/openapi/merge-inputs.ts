import type { Collected, DocumentCollector, TableReader } from './collect.ts'
import type { JsonObject } from './json.ts'
import type { MergeJob } from './merge.ts'
import type { PublishedRoute } from './public-paths.ts'

/** What is merged, as it is now. */
export interface MergeInputs {
  /** Differs wherever the whole of what is merged does. */
  key(): string
  /** The same of one service; undefined where it has no document. */
  keyOf(service: string): string | undefined
  /** Whether any service has a document. */
  hasDocument(): boolean
  /** @param only one service's document instead of the whole */
  job(only?: string): MergeJob
}

export interface MergeInputsOptions {
  readonly own: JsonObject
  readonly routePrefix: string
  readonly table: TableReader
  readonly collector: Pick<DocumentCollector, 'collected' | 'version'>
}

export function createMergeInputs({ own, routePrefix, table, collector }: MergeInputsOptions): MergeInputs {
  let seen: readonly PublishedRoute[] | undefined
  let routes: readonly PublishedRoute[] = []
  let routesKey = ''
  const ids = new WeakMap<Uint8Array, number>()
  let lastId = 0

  /** Routes without what a document does not depend on: instances come and go all day. */
  function current(): readonly PublishedRoute[] {
    const table_ = table.current().routes
    if (seen !== table_) {
      seen = table_
      routes = table_.map(({ prefix, service, strip, auth, scopes, openapi }) => ({
        ...{ prefix, service, strip, auth, scopes, openapi },
        instances: [],
      }))
      routesKey = JSON.stringify(routes)
    }
    return routes
  }

  function idOf(document: Uint8Array): number {
    const id = ids.get(document) ?? ++lastId
    ids.set(document, id)
    return id
  }

  return {
    key() {
      current()
      return `${collector.version()} ${routesKey}`
    },
    keyOf(service) {
      const { document, outline: _, ...state } = shareOf(service, collector.collected().get(service))
      if (document === undefined) return undefined
      current()
      return `${idOf(document)} ${JSON.stringify(state)} ${routesKey}`
    },
    hasDocument: () => [...collector.collected().values()].some(({ document }) => document !== undefined),
    job(only) {
      const collected = collector.collected()
      const names = new Set(current().map(({ service }) => service))
      const services = [...names]
        .filter((name) => only === undefined || name === only)
        .sort()
        .map((name) => shareOf(name, collected.get(name)))
      return { own, routePrefix, routes, services, ...(only !== undefined && { only }) }
    },
  }
}

/**
 * What a merge is told of a service. Not when a good document was fetched: each process fetches at another time, and
 * what they serve would never be the same.
 */
function shareOf(name: string, known: Collected = { status: 'waiting' }): MergeJob['services'][number] {
  const { status, reason, fetchedAt, document, outline } = known
  return {
    name,
    status,
    ...(reason !== undefined && { reason }),
    ...(status === 'stale' && fetchedAt !== undefined && { fetchedAt }),
    ...(document !== undefined && { document }),
    ...(outline !== undefined && { outline }),
  }
}
