import CachePolicy from 'http-cache-semantics'
import {
  type Directives,
  formatDirectives,
  mostSeconds,
  parseCacheControl,
  secondsOf,
} from './cache-control.ts'
import { httpDate } from './http-date.ts'

/** What a house's reply permits. */
export interface Permit {
  readonly policy: CachePolicy
  /** It may be given to requests with credentials: the house said so in as many words. */
  readonly isShared: boolean
  /** For how many seconds beyond its freshness it may be used while it is asked anew, or where that fails. */
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
}

export interface JudgedReply {
  readonly status: number
  /** Lower-case names; repeated headers joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds since the epoch: when it was asked for, and when its head came. */
  readonly askedAt: number
  readonly receivedAt: number
}

export interface JudgedRequest {
  readonly isCredentialed: boolean
  readonly noStore: boolean
  /** Freshness lifetime of replies that say nothing of it. */
  readonly defaultSeconds: number
}

/**
 * Those that get the route's own lifetime. An error that has not said for how long it holds is asked after again, though
 * RFC 9110 §15.1 would let some be stored (404, 405, 410, 414, 501).
 */
const statusesWithDefault = new Set([200, 203, 204, 300, 301, 308])

/** What Vary may be: names, without `*` (RFC 9111 §4.1). By what it says otherwise nobody can select. */
const names = /^[\w!#$%&'+.^`|~,\s-]*$/

/** Under these no stale reply may be used (RFC 9111 §4.2.4). */
const forbidStale = ['must-revalidate', 'proxy-revalidate', 'no-cache']

/**
 * Whether and for how long a reply may be stored, by RFC 9111 §3 and §4.2; undefined where it may not be. The judge is
 * http-cache-semantics; where it reads the RFC otherwise than meant, it is given what makes it judge right:
 *
 * - names of directives in lower case, quoted strings resolved, repeated headers joined;
 * - the age by §4.2.3, with the age that Date implies and the time that the reply took;
 * - must-revalidate forbids stale replies (§5.2.2.2), not fresh ones: this file keeps to it, the library never hears of it;
 * - Vary is the store's business, and so are credentials this file's: a reply to whoever shows who he is must say `public`
 *   or `s-maxage`. `must-revalidate`, which §3.5 takes for the same, says nothing of other callers.
 */
export function permitOf(reply: JudgedReply, request: JudgedRequest): Permit | undefined {
  const { status, headers } = reply
  if (request.noStore || headers['set-cookie'] !== undefined || headers['set-cookie2'] !== undefined) {
    return undefined
  }
  if (headers.vary !== undefined && !names.test(headers.vary)) return undefined
  const said = parseCacheControl(headers['cache-control'])
  const isShared = said.has('public') || said.has('s-maxage')
  if (request.isCredentialed && !isShared) return undefined
  const policy = new CachePolicy(
    { method: 'GET', headers: {} },
    { status, headers: judgedHeaders(reply, said, request.defaultSeconds) },
    // What a lifetime is guessed from is the route's word alone; `immutable` is no lifetime.
    { shared: true, cacheHeuristic: 0, immutableMinTimeToLive: 0 },
  )
  const hasValidator = headers.etag !== undefined || headers['last-modified'] !== undefined
  const staleIfError = secondsOf(said, 'stale-if-error') ?? 0
  const staleWhileRevalidate = secondsOf(said, 'stale-while-revalidate') ?? 0
  if (!policy.storable()) return undefined
  const mayBeStale = !forbidStale.some((name) => said.has(name))
  const useful = policy.maxAge() + (mayBeStale ? Math.max(staleIfError, staleWhileRevalidate) : 0)
  if (!hasValidator && useful <= policy.age()) return undefined
  return {
    policy,
    isShared,
    staleIfError: mayBeStale ? staleIfError : 0,
    staleWhileRevalidate: mayBeStale ? staleWhileRevalidate : 0,
  }
}

/** What the library is told of: what else there is, it would keep with every reply. */
const judgedDirectives = new Set([
  'max-age',
  's-maxage',
  'no-store',
  'no-cache',
  'private',
  'public',
  'immutable',
])

/** The headers that the library is to judge by. */
function judgedHeaders(
  { status, headers, askedAt, receivedAt }: JudgedReply,
  said: Directives,
  defaultSeconds: number,
): Record<string, string> {
  const directives = new Map([...said].filter(([name]) => judgedDirectives.has(name)))
  // RFC 9111 §5.4
  if (headers['cache-control'] === undefined && /no-cache/i.test(headers.pragma ?? '')) {
    directives.set('no-cache', true)
  }
  const isSilent = !said.has('max-age') && !said.has('s-maxage') && headers.expires === undefined
  if (isSilent && defaultSeconds > 0 && statusesWithDefault.has(status)) {
    directives.set('max-age', String(defaultSeconds))
  }
  const judged: Record<string, string> = {
    'cache-control': formatDirectives(directives),
    age: String(initialAge(headers, askedAt, receivedAt)),
  }
  for (const name of ['etag', 'last-modified']) {
    const value = headers[name]
    if (value !== undefined) judged[name] = value
  }
  const date = httpDate(headers.date)
  if (!Number.isNaN(date)) judged.date = new Date(date).toUTCString()
  if (headers.expires !== undefined) {
    const expires = httpDate(headers.expires)
    // RFC 9111 §5.3: what is no date is one that has passed.
    judged.expires = Number.isNaN(expires) ? 'never' : new Date(expires).toUTCString()
  }
  return judged
}

/** RFC 9111 §4.2.3: corrected_initial_age, in whole seconds. */
function initialAge(headers: JudgedReply['headers'], askedAt: number, receivedAt: number): number {
  const date = httpDate(headers.date)
  const apparentMs = Number.isNaN(date) ? 0 : Math.max(0, receivedAt - date)
  const told = /^\s*(\d+)\s*(?:,|$)/.exec(headers.age ?? '')?.[1] ?? 0
  return Math.floor(
    Math.max(apparentMs / 1000, Math.min(Number(told), mostSeconds) + (receivedAt - askedAt) / 1000),
  )
}

/** What a stored reply is worth to a request, by its age and by what the request asks for (RFC 9111 §4.2, §5.2.1). */
export type Worth = 'fresh' | 'stale-while-revalidate' | 'stale'

/** @param directives of the request; undefined where it says nothing */
export function worthOf(permit: Permit, directives: Directives | undefined): Worth {
  const { policy, staleWhileRevalidate } = permit
  if (directives === undefined) {
    if (!policy.stale()) return 'fresh'
  } else {
    const headers = { 'cache-control': formatDirectives(directives) }
    if (policy.satisfiesWithoutRevalidation({ method: 'GET', headers })) return 'fresh'
    // It wants a newer one than there is, whatever the house permits.
    return 'stale'
  }
  return policy.age() < policy.maxAge() + staleWhileRevalidate ? 'stale-while-revalidate' : 'stale'
}

/** Whether it may be used where the house cannot be asked (RFC 5861 §4). */
export function servesOnError({ policy, staleIfError }: Permit): boolean {
  return staleIfError > 0 && policy.age() < policy.maxAge() + staleIfError
}

/** Seconds that it is still fresh for; below 0 where it is not. */
export const ttlOf = ({ policy }: Permit) => Math.floor(policy.maxAge() - policy.age())
