import { httpDate } from './http-date.ts'
import type { CacheRequest } from './request.ts'

/** What conditions are judged by. */
interface Representation {
  readonly status: number
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** When the house made it. */
  readonly date: string | undefined
}

/** Whether 304 answers a request that this stored reply would satisfy (RFC 9110 §13.2.2, RFC 9111 §4.3.2). */
export function isNotModified(
  { status, etag, lastModified, date }: Representation,
  { ifNoneMatch, ifModifiedSince }: Pick<CacheRequest, 'ifNoneMatch' | 'ifModifiedSince'>,
): boolean {
  if (status !== 200) return false
  if (ifNoneMatch !== undefined) return ifNoneMatch.trim() === '*' || matches(ifNoneMatch, etag)
  if (ifModifiedSince === undefined) return false
  const since = httpDate(ifModifiedSince)
  const modified = httpDate(lastModified ?? date)
  return modified <= since
}

const entityTag = /(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g

/** Weak comparison (RFC 9110 §8.8.3.2): what is between the quotes. */
function matches(list: string, etag: string | undefined): boolean {
  const own = etag === undefined ? undefined : opaque(etag)
  if (own === undefined) return false
  for (const [, tag] of list.matchAll(entityTag)) if (tag === own) return true
  return false
}

const opaque = (etag: string) => /^(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/.exec(etag.trim())?.[1]

/** Whether both are the same, or one of them weakly so. */
export const sameTag = (one: string, other: string) => one === other || opaque(one) === opaque(other)

/** Of a 304 all but what describes a body that does not come (RFC 9110 §15.4.5). */
export function isAboutBody(name: string): boolean {
  return name.startsWith('content-') && name !== 'content-location' && name !== 'content-security-policy'
}
