import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import type { RateConfig } from '../config/config.ts'
import { countedAddress } from '../door/client-address.ts'
import { leftMember, policyMember, tooManyRequests } from '../door/rate-limit.ts'
import type { TokenStep } from './state.ts'

/** Two steps of the token endpoints: one before anything is read, one when it is known who asks. */
export interface RequestLimit {
  /** Counts the request, whatever becomes of it, and refuses it where there were too many. */
  readonly count: TokenStep
  /** Takes back what was counted of a client that has shown its secret. */
  readonly settle: TokenStep
}

/**
 * So many requests of one address (IPv6: of one /64) in a window that begins with its first request, 429 beyond.
 * Clients that have shown their secret are not counted: a house that logs people in does so from one address. Where
 * an address has had its share, whoever comes with Basic credentials is heard all the same, and refused only if they
 * are wrong: strangers behind one proxy do not lock a client out.
 *
 * Counted in memory, by each replica for itself: it is there to keep one caller from taking everything, which is a
 * matter of each process, and a question to the database for each request would be the heavier load. The counts of
 * addresses that have gone quiet go with their window.
 */
export function createRequestLimit(rate: RateConfig): RequestLimit {
  const limiter = new RateLimiterMemory({ points: rate.points, duration: rate.seconds })
  const policy = policyMember('address', rate.points, rate.seconds)
  return {
    async count(ctx, next) {
      const result = await limiter.consume(countedAddress(ctx.state.caller.address)).catch(unlessRefused)
      ctx.set('RateLimit-Policy', policy)
      ctx.set('RateLimit', leftMember('address', result.remainingPoints, result.msBeforeNext))
      if (result.consumedPoints > rate.points) {
        const refusal = tooManyRequests(result.msBeforeNext, 'Too many requests from this address.')
        if (!/^basic /i.test(ctx.get('Authorization'))) throw refusal
        ctx.state.refusal = refusal
      }
      await next()
    },
    async settle(ctx, next) {
      const { client, refusal, caller } = ctx.state
      if (client?.authenticated) await limiter.reward(countedAddress(caller.address))
      else if (refusal !== undefined) throw refusal
      await next()
    },
  }
}

function unlessRefused(refused: unknown): RateLimiterRes {
  if (refused instanceof RateLimiterRes) return refused
  throw refused
}
