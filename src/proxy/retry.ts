import { GatewayError } from '../errors.ts'
import type { ProxyRoute } from './routes.ts'
import type { UpstreamFailure } from './upstream-errors.ts'
import type { Upstream } from './upstreams.ts'

/** Attempts to find an instance that takes a connection, whatever `retries` says: nothing was sent yet. */
const mostConnectAttempts = 3

/** RFC 9110 §9.2.2. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/**
 * Whether a request that got no reply may be sent once more.
 *
 * Never where the house may have acted on it: a request that was written is repeated only when its method is
 * idempotent and it had no body (a body that was begun is gone). One that was never written, because no
 * connection came about, is sent elsewhere whatever its method; its body is untouched, and it does not count as
 * one of the route's `retries`. Neither does one whose instance has left the address book meanwhile: it went with a
 * rollout, and says nothing of the next. A deadline that has passed has passed.
 *
 * @param tally how many attempts were made so far, how many of them were written, and how many of those failed on
 *   an instance that is gone
 */
export function mayRetry(
  request: { readonly method: string; readonly hasBody: boolean },
  failure: UpstreamFailure,
  tally: { readonly attempts: number; readonly sent: number; readonly departed: number },
  route: Pick<ProxyRoute, 'retries' | 'group'>,
): boolean {
  if (failure.neverSent) {
    return (
      tally.attempts - tally.sent <
      Math.min(Math.max(mostConnectAttempts, route.retries + 1), route.group.all.length)
    )
  }
  if (failure.code !== 'upstream_reset') return false
  return tally.sent - tally.departed <= route.retries && idempotent.has(request.method) && !request.hasBody
}

/**
 * The instance to send to: by the route's policy among the usable ones that were not tried yet, then among all
 * not tried, and where everybody was tried, among the usable ones again.
 */
export function pickUpstream(
  route: Pick<ProxyRoute, 'group' | 'pick' | 'pickAgain'>,
  tried: readonly Upstream[],
): Upstream | undefined {
  const { usable, all } = route.group
  if (all.length === 0) return undefined
  if (tried.length === 0) return route.pick(usable)
  const untried = (upstream: Upstream) => !tried.includes(upstream)
  for (const candidates of [usable.filter(untried), all.filter(untried)]) {
    if (candidates.length > 0) return route.pickAgain(candidates)
  }
  return route.pickAgain(usable)
}

/** What is answered where the address book knows of nobody to send to. */
export function noInstance({ service }: Pick<ProxyRoute, 'service'>): GatewayError {
  const detail = `No instance of ${service} is available.`
  return new GatewayError('no_instance', { detail, headers: { 'Retry-After': '5' } })
}
