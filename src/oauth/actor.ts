import type { Guard } from '../tokens/guard.ts'
import type { OAuthStep } from './state.ts'

export interface ActorOptions {
  /** Judges Bearer tokens, as on a guarded route. */
  readonly guard: Guard
  /** The gateway's own, as in `iss`: a subject of another issuer's is nobody here. */
  readonly issuer: string
}

/**
 * Finds out for whom something is done, after `identifyClient`: a Bearer token's subject, or the `subject` that a
 * client which has shown its secret names (in the query of GET and DELETE, in the body of POST).
 * @throws GatewayError (rejects with) `authentication_required`, `invalid_token`, `token_state_unknown`,
 *   `invalid_request` where a client names nobody, or a user somebody else
 */
export function createAct(_options: ActorOptions): OAuthStep {
  throw new Error('to come')
}
