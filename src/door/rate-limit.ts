import type { Middleware } from 'koa'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import type { RateConfig } from '../config/config.ts'
import { GatewayError } from '../errors.ts'
import { countedAddress } from './client-address.ts'
import type { DoorState } from './state.ts'

/**
 * So many requests of one address (IPv6: of one /64) in a window that begins with its first request, 429 beyond.
 *
 * Counted in memory, by each replica for itself: it is there to keep one caller from taking everything, which is a
 * matter of each process, and a question to the database for each request would be the heavier load. The counts of
 * addresses that have gone quiet go with their window.
 */
export function createRequestLimit(rate: RateConfig): Middleware<DoorState> {
  const limiter = new RateLimiterMemory({ points: rate.points, duration: rate.seconds })
  return async function limitRequests(ctx, next) {
    const result = await limiter
      .consume(countedAddress(ctx.state.caller.address))
      .catch((refused: unknown) => {
        if (refused instanceof RateLimiterRes) return refused
        throw refused
      })
    // draft-ietf-httpapi-ratelimit-headers-03, the form that clients know.
    ctx.set('RateLimit-Limit', String(rate.points))
    ctx.set('RateLimit-Remaining', String(result.remainingPoints))
    ctx.set('RateLimit-Reset', String(wholeSeconds(result.msBeforeNext)))
    if (result.consumedPoints > rate.points) {
      throw tooManyRequests(result.msBeforeNext, 'Too many requests from this address.')
    }
    await next()
  }
}

/** @param ms until the window is over */
export function tooManyRequests(ms: number, detail: string): GatewayError {
  // RFC 9110 §10.2.3: whole seconds; 0 would invite the same request at once.
  return new GatewayError('too_many_requests', {
    detail,
    headers: { 'Retry-After': String(wholeSeconds(ms)) },
  })
}

const wholeSeconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000))
