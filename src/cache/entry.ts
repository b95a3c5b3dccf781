import type { Exchange } from '../proxy/exchange.ts'
import { isAboutBody, isNotModified, sameTag } from './conditional.ts'
import { type JudgedRequest, type Permit, permitOf, ttlOf } from './policy.ts'
import type { CacheRequest } from './request.ts'
import type { Entry } from './store.ts'

/** What each reply says anew, or must not be said again. */
const ownToEach = new Set([
  ...['age', 'content-length', 'x-request-id', 'connection'],
  // What is left to the caller for whom it was stored is nothing that others should go by.
  ...['ratelimit', 'ratelimit-policy', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'],
])

/** A flat list of names and values by name, those that were repeated joined (RFC 9110 §5.3). */
export function byName(head: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (let i = 0; i < head.length; i += 2) {
    const name = head[i]!.toLowerCase()
    const known = headers[name]
    headers[name] = known === undefined ? head[i + 1]! : `${known}, ${head[i + 1]}`
  }
  return headers
}

/** When a reply was asked for and came, in milliseconds since the epoch. */
export interface Times {
  readonly askedAt: number
  readonly receivedAt: number
}

export interface Storable {
  readonly permit: Permit
  /** As it is to be stored. */
  readonly head: readonly string[]
  readonly headers: Readonly<Record<string, string>>
}

/** What a house's reply is to be stored as; undefined where it may not be. */
export function storableOf(
  status: number,
  head: readonly string[],
  times: Times,
  request: JudgedRequest,
): Storable | undefined {
  const headers = byName(head)
  // RFC 9110 §6.6.1. Without one Node would say that the stored reply was made when it is sent.
  const isDated = headers.date !== undefined
  headers.date ??= new Date(times.receivedAt).toUTCString()
  const permit = permitOf({ status, headers, ...times }, request)
  if (permit === undefined) return undefined
  const kept = head.flatMap((name, i) =>
    i % 2 === 1 || ownToEach.has(name.toLowerCase()) ? [] : [name, head[i + 1]!],
  )
  if (!isDated) kept.push('date', headers.date)
  return { permit, head: kept, headers }
}

export function entryOf(status: number, { permit, head, headers }: Storable, body: Buffer): Entry {
  return {
    ...{ status, head, body, permit },
    etag: headers.etag,
    lastModified: headers['last-modified'],
    date: headers.date,
  }
}

/**
 * The names in Vary, sorted. What houses forget to name there is among them: Accept-Encoding of a compressed body, which
 * would be sent to whoever cannot read it, and Origin of a reply that lets in one origin.
 *
 * @param isCorsOurs whether the gateway replaces what the house says of origins
 */
export function varyOf(headers: Readonly<Record<string, string>>, isCorsOurs: boolean): readonly string[] {
  const names = (headers.vary ?? '').toLowerCase().split(/[\s,]+/)
  const letIn = headers['access-control-allow-origin']
  if (!isCorsOurs && letIn !== undefined && letIn !== '*') names.push('origin')
  if (headers['content-encoding'] !== undefined) names.push('accept-encoding')
  return [...new Set(names)].filter(Boolean).sort()
}

/**
 * A stored reply with what a 304 says anew (RFC 9111 §3.2, §4.3.4).
 *
 * @param head of the 304
 */
export function freshened(entry: Entry, head: readonly string[]): readonly string[] {
  // Where the 304 has none of its own, the date of the reply before says nothing of the one that it makes.
  const renewed = new Set<string>(['date'])
  const added: string[] = []
  for (let i = 0; i < head.length; i += 2) {
    const name = head[i]!.toLowerCase()
    if (ownToEach.has(name) || isAboutBody(name)) continue
    renewed.add(name)
    added.push(name, head[i + 1]!)
  }
  const kept = entry.head.filter((_, i) => !renewed.has(entry.head[i - (i % 2)]!.toLowerCase()))
  return [...kept, ...added]
}

/** Whether a 304 is about this stored reply, whose validator it answers to (RFC 9111 §4.3.4). */
export function isConfirmed({ etag }: Entry, head: readonly string[]): boolean {
  const said = byName(head).etag
  return said === undefined || etag === undefined || sameTag(said, etag)
}

/**
 * Answers from the store: 304 where the client has it already.
 *
 * @param head other than the stored one's, where a 304 has just changed it
 * @param text of Cache-Status (RFC 9211), behind the name of this cache
 */
export function serve(
  exchange: Exchange,
  asked: CacheRequest,
  entry: Entry,
  text: string,
  head: readonly string[] = entry.head,
): void {
  const { status, body, permit } = entry
  const own = [
    'age',
    String(Math.max(0, Math.floor(permit.policy.age()))),
    'cache-status',
    `munjigi; ${text}`,
  ]
  if (isNotModified(entry, asked)) {
    const short = head.filter((_, i) => !isAboutBody(head[i - (i % 2)]!))
    exchange.answer(304, [...short, ...own], undefined)
    return
  }
  const length = status === 204 ? [] : ['content-length', String(body.length)]
  exchange.answer(status, [...head, ...length, ...own], asked.method === 'HEAD' ? undefined : body)
}

/** `hit; ttl=12` */
export const hitText = ({ permit }: Entry) => `hit; ttl=${ttlOf(permit)}`
