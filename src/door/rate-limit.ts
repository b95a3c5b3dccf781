import { GatewayError } from '../errors.ts'

/** @param ms until the window is over */
export function tooManyRequests(ms: number, detail: string): GatewayError {
  // RFC 9110 §10.2.3: whole seconds; 0 would invite the same request at once.
  return new GatewayError('too_many_requests', {
    detail,
    headers: { 'Retry-After': String(wholeSeconds(ms)) },
  })
}

/** At least 1. */
export const wholeSeconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000))
