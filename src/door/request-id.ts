import { randomUUID } from 'node:crypto'

/** What trace ids, UUIDs, ULIDs and the like look like; nothing that could break a log line or a header. */
const wellFormed = /^[A-Za-z0-9][A-Za-z0-9._~-]{7,127}$/

/** The request's id: the caller's own if it is well-formed, a new UUID otherwise. */
export function requestId(rawHeaders: readonly string[]): string {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === 12 && name.toLowerCase() === 'x-request-id') {
      const value = rawHeaders[i + 1]!
      return wellFormed.test(value) ? value : randomUUID()
    }
  }
  return randomUUID()
}
