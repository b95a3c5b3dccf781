import { grantRetry, type Tally } from '../proxy/retry.ts'
import type { ProxyRoute } from '../proxy/routes.ts'
import type { UpstreamFailure } from '../proxy/upstream-errors.ts'

/** How many further attempts a request of one method gets, by what went wrong. */
export interface Retries {
  /** No connection came about, so that nothing was sent. */
  readonly notSent: number
  /** The connection broke after it was sent, before any reply, and it had no body. */
  readonly reset: number
  /** The same of one with a body. */
  readonly resetWithBody: number
}

const notSent: UpstreamFailure = { code: 'upstream_refused', neverSent: true, blamesInstance: true }
const reset: UpstreamFailure = { code: 'upstream_reset', neverSent: false, blamesInstance: true }

/** More than a route may ask for: whatever is granted without end is told as that. */
const most = 100

/** Asks the proxy's own rule, attempt after attempt, without drawing on the service's budget. */
export function explainRetries(method: string, route: ProxyRoute): Retries {
  const [upstream] = route.group.all
  if (upstream === undefined) return { notSent: 0, reset: 0, resetWithBody: 0 }
  const generous: ProxyRoute = { ...route, budget: { ...route.budget, take: () => true } }

  function granted(failure: UpstreamFailure, hasBody: boolean): number {
    for (let attempts = 1; attempts <= most; attempts += 1) {
      const { neverSent } = failure
      const tally: Tally = {
        sent: neverSent ? 0 : attempts,
        departed: 0,
        unsent: neverSent ? attempts - 1 : 0,
      }
      if (!grantRetry({ method, hasBody }, failure, tally, upstream!, generous)) return attempts - 1
    }
    return most
  }

  return {
    notSent: granted(notSent, false),
    reset: granted(reset, false),
    resetWithBody: granted(reset, true),
  }
}
