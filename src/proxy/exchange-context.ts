import type { OutlierDetection } from './outlier.ts'
import type { ProxyRoute } from './routes.ts'

/** What every exchange of one gateway shares. */
export interface ExchangeContext {
  readonly outliers: OutlierDetection
  /** Longest silence within a body, either way. */
  readonly idleTimeoutMs: number
  /** True from the moment the gateway drains: replies then say `Connection: close`. */
  readonly draining: () => boolean
  /** The route as the table has it now, for a further attempt. */
  readonly renew: (route: ProxyRoute) => ProxyRoute
}
