import { UniqueConstraintViolationException } from '@mikro-orm/core'
import type { Database } from '../../src/persistence/database.ts'
import { type User, UserEntity } from './entities.ts'

/** The users there are. Every method throws `database_unavailable` (503) where the database is away. */
export interface Users {
  /** False where the e-mail is taken: of any number that try at once, one succeeds. */
  add(user: User): Promise<boolean>
  /** @param email in lower case */
  findByEmail(email: string): Promise<User | undefined>
  /** Undefined for what is no id of ours, too. */
  findById(id: string): Promise<User | undefined>
  /** Does nothing where the hash is no longer the one that was read. */
  replacePasswordHash(user: User, passwordHash: string): Promise<void>
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createUsers(database: Database): Users {
  return {
    add: (user) =>
      database.run(async (em) => {
        try {
          await em.insert(UserEntity, user)
          return true
        } catch (error) {
          if (error instanceof UniqueConstraintViolationException) return false
          throw error
        }
      }),
    findByEmail: (email) =>
      database.run(async (em) => (await em.findOne(UserEntity, { email })) ?? undefined),
    async findById(id) {
      // PostgreSQL would take other spellings of a UUID for the same; a subject is compared as it is.
      if (!uuid.test(id)) return undefined
      return database.run(async (em) => (await em.findOne(UserEntity, { id })) ?? undefined)
    },
    async replacePasswordHash({ id, passwordHash: known }, passwordHash) {
      await database.run((em) => em.nativeUpdate(UserEntity, { id, passwordHash: known }, { passwordHash }))
    },
  }
}
