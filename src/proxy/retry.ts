import { GatewayError } from '../errors.ts'
import type { ProxyRoute } from './routes.ts'
import type { UpstreamFailure } from './upstream-errors.ts'
import type { Upstream } from './upstreams.ts'

/** Attempts to find an instance that takes a connection, whatever `retries` says: nothing was sent yet. */
const mostConnectAttempts = 3

/** RFC 9110 §9.2.2. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** What has been tried for one request. */
export interface Tally {
  /** Attempts whose head was written: those that a house may know of. */
  readonly sent: number
  /** Of those sent: on an instance that the address book no longer knew when the attempt failed. */
  departed: number
  /** Attempts that came to nothing before anything was written. */
  unsent: number
}

/**
 * Whether a request that got no reply may be sent once more; where it may, that is counted.
 *
 * Never where the house may have acted on it: a request that was written is repeated only when its method is
 * idempotent and it had no body (a body that was begun is gone), and while the service's budget lasts. One that was
 * never written, because no connection came about, is sent elsewhere whatever its method: its body is untouched, and
 * since no house gets it twice it counts neither as one of the route's `retries` nor against the budget. Neither does
 * one whose instance has left the address book meanwhile: it went with a rollout, and says nothing of the next. A
 * deadline that has passed has passed.
 *
 * @param upstream the instance that failed
 * @param route as the table has it now
 */
export function grantRetry(
  request: { readonly method: string; readonly hasBody: boolean },
  failure: UpstreamFailure,
  tally: Tally,
  upstream: Upstream,
  route: Pick<ProxyRoute, 'retries' | 'retryBudget' | 'budget' | 'group'>,
): boolean {
  if (failure.neverSent) {
    tally.unsent += 1
    return tally.unsent < Math.min(Math.max(mostConnectAttempts, route.retries + 1), route.group.all.length)
  }
  const isDeparted = !route.group.all.includes(upstream)
  if (isDeparted) tally.departed += 1
  if (failure.code !== 'upstream_reset' || !idempotent.has(request.method) || request.hasBody) return false
  if (tally.sent - tally.departed > route.retries) return false
  return isDeparted || route.budget.take(route.retryBudget)
}

/**
 * How long to wait before the next attempt. The first retry is made at once: a connection that was reset is nearly
 * always one instance's affair, or that of an idle connection it was just closing, and the next instance has not been
 * asked yet. So is every attempt after one that was never written. What has been reset twice is no accident any more:
 * then a moment is left for what is wrong to pass, drawn at random so that those who failed together do not come back
 * together.
 *
 * @returns milliseconds: 0, or Envoy's 25 to 250
 */
export function backOffMs(failure: UpstreamFailure, tally: Tally, random: () => number): number {
  const resets = tally.sent - tally.departed
  if (failure.neverSent || resets < 2) return 0
  return Math.round(25 + random() * (Math.min(250, 25 * 2 ** resets) - 25))
}

/**
 * The instance to send to: by the route's policy among the usable ones that were not tried yet, then among all
 * not tried, and where everybody was tried, among the usable ones again.
 *
 * @param hasRoom which of them come into question, where not all do
 */
export function pickUpstream(
  route: Pick<ProxyRoute, 'group' | 'pick' | 'pickAgain'>,
  tried: readonly Upstream[],
  hasRoom?: (upstream: Upstream) => boolean,
): Upstream | undefined {
  let { usable, all } = route.group
  if (hasRoom !== undefined) {
    usable = usable.filter(hasRoom)
    all = all.filter(hasRoom)
  }
  if (tried.length === 0) return usable.length === 0 ? undefined : route.pick(usable)
  const untried = (upstream: Upstream) => !tried.includes(upstream)
  for (const candidates of [usable.filter(untried), all.filter(untried), usable]) {
    if (candidates.length > 0) return route.pickAgain(candidates)
  }
  return undefined
}

/** What is answered where the address book knows of nobody to send to. */
export function noInstance({ service }: Pick<ProxyRoute, 'service'>): GatewayError {
  const detail = `No instance of ${service} is available.`
  return new GatewayError('no_instance', { detail, headers: { 'Retry-After': '5' } })
}
