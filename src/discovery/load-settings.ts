import type { Description } from './description.ts'

/** How much a service is given at a time: proxy/concurrency.ts, proxy/retry-budget.ts. */
export interface LoadSettings {
  /** How much of the requests of the last 10 s may be retries, in per cent. */
  readonly retryBudget: number
  /** Undefined for no limit. */
  readonly concurrency: ConcurrencySettings | undefined
}

/** How many requests of one service an instance gets at a time, and what becomes of the others. */
export interface ConcurrencySettings {
  readonly perInstance: number
  /** How many of the service's requests may wait. */
  readonly queue: number
  readonly queueTimeoutMs: number
}

/** What a service says of it, with the defaults for the rest. */
export function loadSettings(description: Description): LoadSettings {
  const { concurrency, queue = 100 } = description
  return {
    retryBudget: description['retry-budget'] ?? 20,
    concurrency:
      concurrency === undefined
        ? undefined
        : { perInstance: concurrency, queue, queueTimeoutMs: description['queue-timeout'] ?? 1000 },
  }
}
