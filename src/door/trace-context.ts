import type { RequestTrace } from '../observability/trace.ts'

/** Where a request belongs by its caller's word (W3C Trace Context), and what of it goes on to a house. */
export interface TraceContext extends RequestTrace {
  readonly traceId: string
  /** Of the caller's span. */
  readonly parentId: string
  /** The eight flags of `traceparent`. */
  readonly flags: number
  /** Undefined where there is none, or one that says nothing anybody could use. */
  readonly tracestate: string | undefined
  readonly span: undefined
}

/**
 * Reads `traceparent` and `tracestate` (W3C Trace Context §3.2, §3.3).
 *
 * @param rawHeaders name, value, name, value …, as they came
 * @returns undefined where there is no `traceparent`, more than one, or one that is not valid: the caller's trace is
 *   then nobody's, and its `tracestate` is not looked at (§4.2)
 */
export function readTraceContext(rawHeaders: readonly string[]): TraceContext | undefined {
  let traceparent: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length !== 11 || name.toLowerCase() !== 'traceparent') continue
    if (traceparent !== undefined) return undefined
    traceparent = rawHeaders[i + 1]
  }
  return traceparent === undefined ? undefined : parse(traceparent, rawHeaders)
}

/** Lower case, as §3.2.2 wants it; of versions to come the first four fields are read as those of 00 are. */
const traceparentText = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

const noTrace = '0'.repeat(32)
const noParent = '0'.repeat(16)

/** Nobody's `traceparent` is as long: what is to come of versions is a field or two. */
const longestTraceparent = 512

function parse(traceparent: string, rawHeaders: readonly string[]): TraceContext | undefined {
  if (traceparent.length > longestTraceparent) return undefined
  const [, version, traceId, parentId, flags, more] = traceparentText.exec(traceparent) ?? []
  if (traceId === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (traceId === noTrace || parentId === noParent) return undefined
  const tracestate = readTracestate(rawHeaders)
  const passedOn = ['traceparent', traceparent]
  if (tracestate !== undefined) passedOn.push('tracestate', tracestate)
  return {
    ...{ traceId, parentId: parentId!, flags: Number.parseInt(flags!, 16) },
    ...{ tracestate, passedOn, span: undefined },
  }
}

/** Several headers are one list (§3.3.1). */
function readTracestate(rawHeaders: readonly string[]): string | undefined {
  let text: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length !== 10 || name.toLowerCase() !== 'tracestate') continue
    text = text === undefined ? rawHeaders[i + 1]! : `${text},${rawHeaders[i + 1]}`
  }
  return text !== undefined && isTracestate(text) ? text : undefined
}

/** §3.3.1.1: at most 32 members. */
const mostMembers = 32
/** A list of 512 characters must be passed on (§3.3.1.5); of much more nobody has to keep anything. */
const longestTracestate = 4096

/** §3.3.1.3: a simple key, or a tenant's; the value is printable, without a comma or =, and does not end in a space. */
const member =
  /^(?:[a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** Whether every member can be understood, and is there once: of two that differ nobody knows which is true. */
function isTracestate(text: string): boolean {
  if (text.length > longestTracestate || !/^[\t\x20-\x7e]+$/.test(text)) return false
  const members = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  if (members.length === 0 || members.length > mostMembers) return false
  if (!members.every((item) => member.test(item))) return false
  return new Set(members.map((item) => item.slice(0, item.indexOf('=')))).size === members.length
}
