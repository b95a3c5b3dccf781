import { defineEntity, type InferEntity, p } from '@mikro-orm/core'

/** Who has signed up. */
export const UserEntity = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: p.uuid().primary(),
    /** In lower case. */
    email: p.string().length(254).unique(),
    name: p.string().length(100).nullable(),
    /** PHC string; see passwords.ts. */
    passwordHash: p.string().length(255),
    createdAt: p.datetime(),
  },
})

/** rate-limiter-flexible's own table, as it wants it. */
const RateLimitEntity = defineEntity({
  name: 'RateLimit',
  tableName: 'rate_limits',
  properties: {
    key: p.string().length(255).primary(),
    points: p.integer().default(0),
    /** Milliseconds since the epoch. */
    expire: p.bigint().nullable(),
  },
})

export const authEntities = [UserEntity, RateLimitEntity] as const

export type User = InferEntity<typeof UserEntity>
