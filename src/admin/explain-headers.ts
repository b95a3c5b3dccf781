import { forwardedIdentity } from '../door/forwarded.ts'
import type { DoorState } from '../door/state.ts'
import { requestHeaders, timeoutHeader } from '../proxy/headers.ts'

/** What becomes of a request's headers on their way to the house. */
export interface HeaderChanges {
  /** Of those that a client may send under names that are not for the house: what does not get there. */
  readonly removed: readonly string[]
  /** What the gateway says itself; `<…>` stands for what only the request tells. */
  readonly added: readonly string[]
}

/** Names that matter on the way; what the proxy lets pass of them is not told. */
const sample = [
  ...['Connection', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authenticate', 'Proxy-Authorization', 'TE'],
  ...['Trailer', 'Transfer-Encoding', 'Upgrade', 'HTTP2-Settings', 'Expect', 'Host', 'Content-Length'],
  ...['Via', 'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-User'],
  ...['X-Request-Id', 'X-Real-IP', 'X-User-Id', 'X-User-Name', 'Authorization', 'Cookie'],
  ...['X-Request-Timeout-Ms', 'X-Mirrored'],
]

export interface HeadersOptions {
  /** As the proxy has them: lower-case names that only the gateway may speak under. */
  readonly reservedHeaders: ReadonlySet<string>
  /** What the house is told of the caller, where somebody has to say who he is: name, value, … */
  readonly user: readonly string[]
  /** Of the route, as the house is told it. */
  readonly timeoutText: string
  /** Whoever asks: the request of his that is explained would come from the same place. */
  readonly caller: DoorState['caller']
}

/** Sends a sample through the proxy's own function, and looks at what comes out. */
export function explainHeaders({
  reservedHeaders,
  user,
  timeoutText,
  caller,
}: HeadersOptions): HeaderChanges {
  const known = new Set(sample.map((name) => name.toLowerCase()))
  const names = [...sample, ...[...reservedHeaders].filter((name) => !known.has(name))]
  // Nothing is named by Connection, and what follows is no body.
  const values: Readonly<Record<string, string>> = {
    Connection: 'keep-alive',
    'Transfer-Encoding': 'chunked',
    'Content-Length': '0',
  }
  const raw = names.flatMap((name) => [name, values[name] ?? mark])
  const identity = forwardedIdentity(caller, '<id of the request>')
  const { headers } = requestHeaders(raw, identity, user, reservedHeaders)
  const kept = new Set<string>()
  const added: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const [name, value] = [headers[i]!, headers[i + 1]!]
    if (value === mark) kept.add(name)
    else added.push(`${name}: ${value.replace(`${mark}, `, '')}`)
  }
  added.push(`${timeoutHeader}: ${timeoutText}`)
  return { removed: names.filter((name) => !kept.has(name)), added }
}

const mark = '<as it was sent>'
