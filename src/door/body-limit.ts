import type { IncomingMessage } from 'node:http'
import type { Middleware } from 'koa'
import { GatewayError } from '../errors.ts'
import type { DoorState } from './state.ts'

export interface BodyLimit {
  /** Refuses a request that announces too large a body, before anything is sent to a house. */
  readonly middleware: Middleware<DoorState>
  /** Whether a client that asks first (`Expect: 100-continue`) is to be told to go on (RFC 9110 §10.1.1). */
  readonly welcomes: (incoming: IncomingMessage) => boolean
}

/**
 * `BODY_LIMIT` for forwarded requests, as far as the request's head tells; a body without a length is counted as it
 * streams (proxy/upload.ts).
 *
 * @param bytes the largest body that is forwarded
 */
export function createBodyLimit({ bytes }: { readonly bytes: number }): BodyLimit {
  // Digits only, and not more than one header of it: Node's parser sees to that.
  const welcomes = ({ headers }: IncomingMessage) => Number(headers['content-length'] ?? 0) <= bytes
  return {
    middleware(ctx, next) {
      if (!welcomes(ctx.req)) throw bodyTooLarge(bytes)
      return next()
    },
    welcomes,
  }
}

/** What is answered to a body above the limit. */
export function bodyTooLarge(bytes: number): GatewayError {
  return new GatewayError('payload_too_large', { detail: `The request's body is above ${bytes} bytes.` })
}
