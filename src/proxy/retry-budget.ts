/** How much of a service's traffic may be retries: without it, a house that breaks gets every request several times. */
export interface RetryBudget {
  /** Since the start, for the metrics. */
  readonly counts: RetryCounts
  /** A request has come: what the retries are measured by. */
  count(): void
  /**
   * Whether one more retry may be made now; it then counts as made.
   * @param percent of the requests of the last 10 s; 3 a second are free in any case
   */
  take(percent: number): boolean
}

interface RetryCounts {
  /** Further attempts, those outside the budget included. Whoever makes one counts it. */
  made: number
  /** Retries that were not made because the budget was spent. */
  refused: number
}

const windowSeconds = 10
/** Finagle has 10, Envoy 3 at once: enough for a service that is rarely asked to have any retries at all. */
const freePerSecond = 3

/**
 * Counts requests and retries of the last ten seconds, in one slot for each second: a request costs two additions,
 * and nothing runs in between.
 *
 * @param now milliseconds, monotonic
 */
export function createRetryBudget(now: () => number = () => performance.now()): RetryBudget {
  const counts: RetryCounts = { made: 0, refused: 0 }
  const requests = new Uint32Array(windowSeconds)
  const retries = new Uint32Array(windowSeconds)
  let requestsInWindow = 0
  let retriesInWindow = 0
  let second = Math.floor(now() / 1000)

  /** Forgets what is older than the window; gives the slot of this second. */
  function slot(): number {
    const current = Math.floor(now() / 1000)
    for (let passed = Math.min(current - second, windowSeconds); passed > 0; passed -= 1) {
      const old = (current - passed + 1) % windowSeconds
      requestsInWindow -= requests[old]!
      retriesInWindow -= retries[old]!
      requests[old] = 0
      retries[old] = 0
    }
    second = current
    return current % windowSeconds
  }

  return {
    counts,
    count() {
      const at = slot()
      requests[at]! += 1
      requestsInWindow += 1
    },
    take(percent) {
      const at = slot()
      const most = Math.max((requestsInWindow * percent) / 100, freePerSecond * windowSeconds)
      if (retriesInWindow + 1 > most) {
        counts.refused += 1
        return false
      }
      retries[at]! += 1
      retriesInWindow += 1
      return true
    },
  }
}
