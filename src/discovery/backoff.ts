export interface Backoff {
  readonly firstMs: number
  readonly mostMs: number
}

/** Doubles with every failure up to a ceiling; the jitter (the upper half) keeps many clients apart. */
export function backoffMs(failures: number, { firstMs, mostMs }: Backoff, random = Math.random): number {
  return Math.min(firstMs * 2 ** Math.min(failures, 30), mostMs) * (0.5 + random() / 2)
}
