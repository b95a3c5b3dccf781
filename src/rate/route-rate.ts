import type { RateLimit } from '../discovery/rate-settings.ts'
import { countedAddress } from '../door/client-address.ts'
import { leftMember, policyMember, wholeSeconds } from '../door/rate-limit.ts'
import { GatewayError } from '../errors.ts'
import type { Pass } from '../tokens/verified.ts'
import type { Counts } from './counts.ts'
import { addOne, freedAt, type KeyCount } from './key-count.ts'

/** The limits of one route. */
export interface RouteRate {
  /** The field `RateLimit-Policy` of its replies. */
  readonly policy: string
  /**
   * Counts a request, at once.
   *
   * @param address of the caller
   * @param pass who it is; undefined for nobody in particular, who is counted by address
   * @returns the field `RateLimit` of the reply
   * @throws GatewayError `too_many_requests` (429, with Retry-After and both fields), and then nothing is counted
   */
  enter(address: string, pass: Pass | undefined): string
}

/** One limit with its counts, and the name under which clients hear of it. */
export interface CountedLimit extends RateLimit {
  readonly name: string
  /** What is counted together, by every replica. */
  readonly key: string
  readonly counts: Counts
}

export interface RouteRateOptions {
  readonly limits: readonly CountedLimit[]
  /** What has become of its requests. */
  readonly outcomes: { allowed: number; limited: number }
  /** Has a count told to the other replicas, and theirs asked for; undefined where there are none. */
  readonly share: ((count: KeyCount, limit: CountedLimit, now: number) => void) | undefined
  readonly now: () => number
}

/** Judges by each limit, and writes the fields for all of them: lists of strings with parameters (RFC 9651). */
export function createRouteRate({ limits, outcomes, share, now }: RouteRateOptions): RouteRate {
  const policy = limits.map(({ name, requests, seconds }) => policyMember(name, requests, seconds)).join(', ')
  // Filled and read within one call: none is made for each request.
  const counts: KeyCount[] = []

  function refuse(time: number): GatewayError {
    outcomes.limited += 1
    const used = limits.filter((limit, i) => counts[i]!.used >= limit.requests)
    const ms = limits.map((limit, i) => freedAt(counts[i]!, needed(limit, counts[i]!)) - time)
    const longest = Math.max(...limits.map((limit, i) => (used.includes(limit) ? ms[i]! : 0)))
    return new GatewayError('too_many_requests', {
      detail: `Used up: ${used.map(({ requests, seconds, per }) => `${requests} requests in ${seconds} s for each ${per}`).join(', ')}.`,
      headers: {
        'Retry-After': String(wholeSeconds(longest)),
        'RateLimit-Policy': policy,
        RateLimit: limits.map((limit, i) => remaining(limit, counts[i]!, ms[i]!)).join(', '),
      },
    })
  }

  return {
    policy,
    enter(address, pass) {
      const time = now()
      let isFull = false
      for (let i = 0; i < limits.length; i++) {
        const limit = limits[i]!
        const count = limit.counts.of(callerOf(limit, address, pass), time)
        counts[i] = count
        if (count.used >= limit.requests) isFull = true
      }
      let field = ''
      for (let i = 0; i < limits.length; i++) {
        const limit = limits[i]!
        const count = counts[i]!
        if (!isFull) {
          addOne(count, time)
          const left = remaining(limit, count, freedAt(count, 1) - time)
          field = i === 0 ? left : `${field}, ${left}`
        }
        // Also of one that is full: others may have counted since.
        if (!count.awaitsSharing) share?.(count, limit, time)
      }
      if (isFull) throw refuse(time)
      outcomes.allowed += 1
      return field
    },
  }
}

/** How many have to leave the window before there is room for another one. */
const needed = ({ requests }: RateLimit, { used }: KeyCount) => Math.max(1, used - requests + 1)

function remaining({ name, requests }: CountedLimit, { used }: KeyCount, ms: number): string {
  return leftMember(name, requests - used, ms)
}

/** A subject is unique only together with its issuer, and no address. */
function callerOf({ per }: RateLimit, address: string, pass: Pass | undefined): string {
  if (per === 'address' || pass === undefined) return countedAddress(address)
  const { issuer, subject } = pass.identity
  return `user ${issuer} ${subject}`
}
