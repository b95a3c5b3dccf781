import { setTimeout as sleep } from 'node:timers/promises'

export interface RateLimitOptions {
  /** How many may pass at once after a quiet time. */
  readonly burst: number
  /** One more may pass every so often. */
  readonly intervalMs: number
  readonly now?: () => number
}

/** Waits for leave to go on; rejects when the signal aborts. */
export type RateLimit = (signal: AbortSignal) => Promise<void>

/**
 * A token bucket: a lone change is asked for at once, while a catalog that never rests is asked at a steady
 * pace (HashiCorp's rules for blocking queries ask clients for such a limit).
 */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { burst, intervalMs, now = () => performance.now() } = options
  let tokens = burst
  let countedAt = now()
  return async (signal) => {
    const at = now()
    tokens = Math.min(burst, tokens + (at - countedAt) / intervalMs)
    countedAt = at
    // Below zero is a debt that the waiting pays, so that callers who come together are let through in turn.
    tokens -= 1
    if (tokens < 0) await sleep(-tokens * intervalMs, undefined, { signal })
  }
}
