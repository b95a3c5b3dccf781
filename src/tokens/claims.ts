import { reservedClaims } from './issue.ts'

const mostBytes = 2048

/**
 * What is wrong with claims that a client wants in its tokens; undefined where nothing is.
 * @param claims parsed JSON of bounded depth
 */
export function claimsFault(claims: Readonly<Record<string, unknown>>): string | undefined {
  const reserved = Object.keys(claims).filter((name) => reservedClaims.has(name))
  if (reserved.length > 0) return `${reserved.join(', ')} may not be set by a client`
  if (!isStorable(claims)) return 'expected text without NUL and without half a surrogate pair'
  if (Buffer.byteLength(JSON.stringify(claims)) > mostBytes) return 'expected at most 2 KB as JSON'
  return undefined
}

/** PostgreSQL's jsonb takes neither U+0000 nor half a surrogate pair. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, member]) => isStorable(name) && isStorable(member))
}
