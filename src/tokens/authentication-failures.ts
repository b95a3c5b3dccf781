import { hash } from 'node:crypto'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { RateConfig } from '../config/config.ts'
import { countedAddress } from '../door/client-address.ts'
import { tooManyRequests } from '../door/rate-limit.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import type { AuthenticationFailures } from './limits.ts'
import { createSharedCounts } from './shared-counts.ts'

export interface AuthenticationFailuresOptions {
  /** How many failures one address may have in how long, in all and at one client. */
  readonly rate: RateConfig
  /** Where replicas share what they count: PostgreSQL; undefined for a gateway that is alone. */
  readonly database?: Pick<Database, 'run'> | undefined
  /** The PostgreSQL schema of the table `rate_limits`. */
  readonly schema: string
  readonly log: Log
}

/** A client is under attack from many addresses when it has this many times the failures that one may have. */
const attackFactor = 10

/**
 * Makes guessing slow, and refuses nobody the right secret because others guessed:
 *
 * - an address (IPv6: a /64) with as many failures at one client as `rate` says is blocked for that client until its
 *   window is over, right or wrong. At another client it may be the address of somebody else, behind the same proxy;
 * - an address with as many failures in all hears 429 for each further one, and still gets through where it is right.
 *   So it has at most so many guesses for each client that there is;
 * - a client with ten times as many, from wherever, is under attack, and then one failure is enough for an address
 *   to be blocked for that client. Each further guess costs an address, while the client itself, at an address that
 *   has not failed, is let in as ever: a stranger cannot lock it out from everywhere.
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
      if (clientId === undefined) return
      const { client, pair } = keysOf(address, clientId)
      const [ofClient, ofPair] = await Promise.all([local.get(client), local.get(pair)])
      if (ofPair === null) return
      const isAttacked = ofClient !== null && ofClient.consumedPoints >= rate.points * attackFactor
      if (ofPair.consumedPoints >= rate.points || isAttacked) throw tooMany(ofPair.msBeforeNext)
    },
    async failed(address, clientId) {
      const ofAddress = `address ${countedAddress(address)}`
      // All before anything is awaited: whoever asks next finds them.
      const counted = local.penalty(ofAddress)
      for (const key of clientId === undefined ? [] : Object.values(keysOf(address, clientId))) {
        void local.penalty(key)
        shared?.add(key)
      }
      const { consumedPoints, msBeforeNext } = await counted
      if (consumedPoints > rate.points) throw tooMany(msBeforeNext)
      shared?.add(ofAddress)
      if (consumedPoints === rate.points) {
        log.warn({ clientAddress: address }, 'address refused for too many failed authentications')
      }
    },
  }
}

const tooMany = (ms: number) => tooManyRequests(ms, 'Too many failed authentications.')

/** Of a client from wherever, and from this address. */
function keysOf(address: string, clientId: string): { readonly client: string; readonly pair: string } {
  const digest = hash('sha256', clientId, 'base64url')
  return { client: `client ${digest}`, pair: `pair ${digest} ${countedAddress(address)}` }
}
