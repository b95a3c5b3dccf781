import type { ServerResponse } from 'node:http'
import type { OutlierDetection } from './outlier.ts'
import type { ProxyRoute } from './routes.ts'

/** What every exchange of one gateway shares. */
export interface ExchangeContext {
  readonly outliers: OutlierDetection
  readonly random: () => number
  /** Longest silence within a body, either way. */
  readonly idleTimeoutMs: number
  /** True from the moment the gateway drains: replies then say `Connection: close`. */
  readonly draining: () => boolean
  /** Lower-case names that only the gateway may speak under, besides those that headers.ts knows. */
  readonly reservedHeaders: ReadonlySet<string>
  /** The most bytes of a request's body; undefined for no limit. */
  readonly bodyLimit?: number | undefined
  /** What the door changes in the head of a house's reply, a flat list of names and values, before it is written. */
  readonly amendReply?: ((head: string[], outgoing: ServerResponse) => void) | undefined
  /** Told the bytes of each chunk of a reply's body: see collector.ts. */
  readonly passed: (bytes: number) => void
  /** The route as the table has it now, for a further attempt. */
  readonly renew: (route: ProxyRoute) => ProxyRoute
}
