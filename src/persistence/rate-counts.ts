import { defineEntity, p } from '@mikro-orm/core'

/** What each replica has let through, of users and addresses that a route limits: see rate/shared-table.ts. */
const RateCountEntity = defineEntity({
  name: 'RateCount',
  tableName: 'rate_counts',
  properties: {
    /** A digest: whom it is about cannot be read from it. */
    key: p.string().length(43).primary(),
    replica: p.string().length(12).primary(),
    runs: p.text(),
    /** Milliseconds since the epoch, by the database's clock. */
    expiresAt: p.bigint(),
  },
})

export const rateEntities = [RateCountEntity] as const
