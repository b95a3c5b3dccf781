import type { Exchange } from '../proxy/exchange.ts'
import type { RequestHead } from '../proxy/headers.ts'
import { byName } from './entry.ts'
import type { Entry, Selecting } from './store.ts'

/**
 * The request's headers as the house is sent them, those of the gateway's own making among them: a house that varies by
 * `X-User-Id` is told apart by who is calling. Lists are compared without regard to blanks (RFC 9111 §4.1).
 */
export function selectingOf(exchange: Pick<Exchange, 'prepare'>): Selecting {
  let headers: Readonly<Record<string, string>> | undefined
  return (name) => {
    headers ??= byName(exchange.prepare().headers)
    return headers[name]?.trim().replace(/[ \t]*,[ \t]*/g, ',')
  }
}

/** The request under the conditions of the stored reply, in place of the client's own (RFC 9111 §4.3.1). */
export function conditional({ headers, hasBody }: RequestHead, { etag, lastModified }: Entry): RequestHead {
  const kept = headers.filter((_, i) => !/^if-(?:none-match|modified-since)$/i.test(headers[i - (i % 2)]!))
  if (etag !== undefined) kept.push('if-none-match', etag)
  if (lastModified !== undefined) kept.push('if-modified-since', lastModified)
  return { headers: kept, hasBody }
}
