import { defineEntity, p } from '@mikro-orm/core'

/**
 * The table that rate-limiter-flexible counts in, as it wants it. A new entity each time: every program has its own in
 * its own schema, and two of them may live in one process.
 */
export const createRateLimitEntity = () =>
  defineEntity({
    name: 'RateLimit',
    tableName: 'rate_limits',
    properties: {
      key: p.string().length(255).primary(),
      points: p.integer().default(0),
      /** Milliseconds since the epoch. */
      expire: p.bigint().nullable(),
    },
  })
