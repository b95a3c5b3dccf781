/** How a request on a route with a cache was answered. */
export type CacheResult =
  /** From the store, fresh. */
  | 'hit'
  /** From the store, past its time, as the house permits. */
  | 'stale'
  /** From the store, after the house had said that it is good. */
  | 'revalidated'
  /** From the store, once another request for the same had brought it. */
  | 'collapsed'
  /** By the house. */
  | 'miss'
  /** By the house: the request was none of the cache's business. */
  | 'bypass'

export interface ServiceCacheCounts {
  readonly results: Readonly<Record<CacheResult, number>>
  /** Replies that were stored, or renewed. */
  readonly stored: number
}

export interface CacheCounts {
  answered(service: string, result: CacheResult): void
  stored(service: string): void
  readonly byService: () => ReadonlyMap<string, ServiceCacheCounts>
}

export function createCounts(): CacheCounts {
  const counts = new Map<string, { results: Record<CacheResult, number>; stored: number }>()
  function of(service: string) {
    let known = counts.get(service)
    if (known === undefined) {
      known = {
        results: { hit: 0, stale: 0, revalidated: 0, collapsed: 0, miss: 0, bypass: 0 },
        stored: 0,
      }
      counts.set(service, known)
    }
    return known
  }
  return {
    answered(service, result) {
      of(service).results[result] += 1
    },
    stored(service) {
      of(service).stored += 1
    },
    byService: () => counts,
  }
}
