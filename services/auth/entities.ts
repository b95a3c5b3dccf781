import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import { createRateLimitEntity } from '../../src/persistence/rate-limits.ts'

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

export const authEntities = [UserEntity, createRateLimitEntity()] as const

export type User = InferEntity<typeof UserEntity>
