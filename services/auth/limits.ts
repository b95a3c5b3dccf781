import { createHash } from 'node:crypto'
import {
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRes,
  type RateLimiterStoreAbstract,
} from 'rate-limiter-flexible'
import type { RateConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/persistence/database.ts'
import { createPgQuery } from '../../src/persistence/pg-query.ts'
import { Problem } from './problem.ts'

export interface LimitsOptions {
  /** Failed logins to one account from one address. */
  readonly login: RateConfig
  /** Failed logins from one address, and sign-ups from one. */
  readonly address: RateConfig
  /** Where replicas share their counts; undefined to count in this process only. */
  readonly shared: Database | undefined
}

/** One attempt that counts as failed until it is taken back: parallel guesses do not slip past the limit. */
interface Attempt {
  /** It was none: something else went wrong. */
  takeBack(): Promise<void>
  /** The caller is who he says: his earlier failures are forgotten. */
  succeeded(): Promise<void>
}

/** How often one may try. Methods throw a Problem `too_many_requests` (429, Retry-After) where it is too often. */
export interface Limits {
  /** @param address whom the caller's address stands for, see client-address.ts */
  login(address: string, email: string): Promise<Attempt>
  signup(address: string): Promise<void>
}

type Limiter = RateLimiterMemory | RateLimiterStoreAbstract

export function createLimits({ login, address, shared }: LimitsOptions): Limits {
  const perAccount = createLimiter('login-account', login, shared)
  const perAddress = createLimiter('login-address', address, shared)
  const signups = createLimiter('signup-address', address, shared)

  return {
    async login(address, email) {
      // This one first: addresses that are refused do not fill the table with accounts.
      await consume(perAddress, address)
      const account = keyOf(address, email)
      await consume(perAccount, account)
      return {
        async takeBack() {
          await Promise.all([perAddress.reward(address), perAccount.reward(account)])
        },
        async succeeded() {
          await Promise.all([perAddress.reward(address), perAccount.delete(account)])
        },
      }
    },
    signup: (address) => consume(signups, address),
  }
}

function createLimiter(keyPrefix: string, { points, seconds }: RateConfig, shared?: Database): Limiter {
  const options = { keyPrefix, points, duration: seconds }
  const inMemory = new RateLimiterMemory(options)
  if (shared === undefined) return inMemory
  return new RateLimiterPostgres({
    ...options,
    storeClient: { query: createPgQuery(shared) },
    storeType: 'client',
    schemaName: 'auth',
    tableName: 'rate_limits',
    tableCreated: true,
    // While the database is away each replica counts for itself.
    insuranceLimiter: inMemory,
  })
}

async function consume(limiter: Limiter, key: string): Promise<void> {
  try {
    await limiter.consume(key)
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused
    throw new Problem(429, 'too_many_requests', {
      detail: 'Too many attempts; try again later.',
      headers: { 'Retry-After': String(Math.max(1, Math.ceil(refused.msBeforeNext / 1000))) },
    })
  }
}

/** Hashed: the table keeps no e-mail that somebody typed, and no long one either. */
function keyOf(address: string, email: string): string {
  return createHash('sha256').update(`${address} ${email}`).digest('base64url')
}
