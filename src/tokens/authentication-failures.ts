import { createHash } from 'node:crypto'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { RateConfig } from '../config/config.ts'
import { countedAddress } from '../door/client-address.ts'
import { tooManyRequests } from '../door/rate-limit.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import type { AuthenticationFailures } from './limits.ts'
import { createSharedCounts } from './shared-counts.ts'

export interface AuthenticationFailuresOptions {
  /** How many failures one address may have in how long. */
  readonly rate: RateConfig
  /** Where replicas share what they count: PostgreSQL; undefined for a gateway that is alone. */
  readonly database?: Pick<Database, 'run'> | undefined
  /** The PostgreSQL schema of the table `rate_limits`. */
  readonly schema: string
  readonly log: Log
}

/** A client id is under attack from many addresses when it has this many times the failures that one may have. */
const attackFactor = 10

/**
 * Makes guessing slow, and locks nobody out who does not guess:
 *
 * - an address (IPv6: a /64) with as many failures as `rate` says is blocked until its window is over;
 * - a client id with ten times as many, from wherever, is under attack, and then one failure is enough for an address
 *   to be blocked for that client id. Each further guess costs an address, while the client itself, at an address
 *   that has not failed, is let in as ever: a stranger cannot lock it out from everywhere.
 *
 * Requests are judged by what this replica has in memory: nothing is asked of the database on the way, and when it is
 * away nothing waits for it. Failures alone are shared, after the fact, and the reply to sharing one tells what all
 * replicas have counted. So a replica hears of an address with its first failure there, and the address has as many
 * guesses more as there are further replicas.
 */
export function createAuthenticationFailures(options: AuthenticationFailuresOptions): AuthenticationFailures {
  const { rate, database, schema, log } = options
  const local = new RateLimiterMemory({ points: rate.points, duration: rate.seconds, keyPrefix: '' })
  const shared =
    database && createSharedCounts({ database, schema, rate, onCount: (...seen) => void learn(...seen), log })

  /** Others have counted more than this replica: theirs counts. */
  async function learn(key: string, count: number, msLeft: number): Promise<void> {
    const own = await local.get(key)
    if (msLeft > 0 && count > (own?.consumedPoints ?? 0)) await local.set(key, count, msLeft / 1000)
  }

  return {
    async blocked(address, clientId) {
      const keys = keysOf(address, clientId)
      const [ofAddress, ofClient, ofPair] = await Promise.all(keys.map((key) => local.get(key!)))
      const isGuessing = ofAddress && ofAddress.consumedPoints >= rate.points
      const isAttacking = ofPair && ofClient && ofClient.consumedPoints >= rate.points * attackFactor
      const block = isGuessing ? ofAddress : isAttacking ? ofPair : undefined
      if (block === undefined) return
      throw tooManyRequests(block.msBeforeNext, 'Too many failed authentications.')
    },
    async failed(address, clientId) {
      const [ofAddress, ofClient, ofPair] = keysOf(address, clientId)
      // All before anything is awaited: whoever asks next finds them.
      const counts = [ofAddress, ofClient, ofPair]
        .filter((key) => key !== undefined)
        .map((key) => local.penalty(key))
      // Of the pair it is enough to know that there was one, and no replica hears of that before there was one there.
      shared?.add(ofAddress)
      if (ofClient !== undefined) shared?.add(ofClient)
      if ((await counts[0])?.consumedPoints === rate.points) {
        log.warn({ clientAddress: address }, 'address blocked for too many failed authentications')
      }
    },
  }
}

/** Of the address; and, where one was named, of the client id, and of the two together. */
function keysOf(address: string, clientId: string | undefined): [string, string?, string?] {
  const counted = countedAddress(address)
  if (clientId === undefined) return [`address ${counted}`]
  // Whatever was sent as one, of any length, is a short key; and somebody may have sent a secret.
  const client = createHash('sha256').update(clientId).digest('base64url')
  return [`address ${counted}`, `client ${client}`, `pair ${client} ${counted}`]
}
