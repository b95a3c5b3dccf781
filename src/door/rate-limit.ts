import { GatewayError } from '../errors.ts'

/** @param ms until the window is over */
export function tooManyRequests(ms: number, detail: string): GatewayError {
  // RFC 9110 §10.2.3: whole seconds; 0 would invite the same request at once.
  return new GatewayError('too_many_requests', {
    detail,
    headers: { 'Retry-After': String(wholeSeconds(ms)) },
  })
}

/**
 * A member of `RateLimit-Policy`: so many requests in so many seconds (draft-ietf-httpapi-ratelimit-headers-10 §3).
 * @param name without quotes and backslashes
 */
export const policyMember = (name: string, requests: number, seconds: number) =>
  `"${name}";q=${requests};w=${seconds}`

/** The same of `RateLimit`: so many are left, and in how long there are more (§4). */
export const leftMember = (name: string, left: number, ms: number) =>
  `"${name}";r=${Math.max(0, left)};t=${wholeSeconds(ms)}`

/** At least 1. */
export const wholeSeconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000))
