import { GatewayError } from '../../errors.ts'
import { checkBody, invalidRequest } from '../../tokens/body.ts'
import { invalidClient } from '../../tokens/clients.ts'
import type { Client, TokenStep } from '../../tokens/state.ts'
import type { OAuthStep } from '../state.ts'
import { fits, type Redeem } from './redeem.ts'
import { codeGrantSchema } from './schemas-login.ts'

export interface TokenOptions {
  readonly redeem: Pick<Redeem, 'logIn'>
  /** By id: see public-clients.ts. */
  readonly clients: ReadonlyMap<string, unknown>
  /** `grant_type=refresh_token` */
  readonly refresh: TokenStep
}

/**
 * `POST /oauth/token` (RFC 6749 §4.1.3, §6): tokens for the code of `/oauth/authorize`, or for a refresh token. A code
 * that comes with anything else than it was asked for with is spent.
 */
export function createToken({ redeem, clients, refresh }: TokenOptions): OAuthStep {
  return async function token(ctx, next) {
    const { grant_type: type } = ctx.state.body
    if (type === 'refresh_token') return (refresh as unknown as OAuthStep)(ctx, next)
    if (typeof type !== 'string' || type === '') throw invalidRequest(`grant_type: ${expected}`)
    if (type !== 'authorization_code') {
      throw new GatewayError('unsupported_grant_type', { detail: `grant_type: ${expected}` })
    }
    const body = checkBody(codeGrantSchema, ctx.state.body)
    const clientId = clientOf(ctx.state.client)
    ctx.body = await redeem.logIn(
      body.code,
      ({ client, codeChallenge }) =>
        client !== undefined &&
        client.id === clientId &&
        client.redirectUri === body.redirect_uri &&
        fits(body.code_verifier, codeChallenge),
    )
  }

  /** @throws GatewayError `invalid_request`, `invalid_client` */
  function clientOf(client: Client | undefined): string {
    if (client === undefined) throw invalidRequest('client_id: expected whom the code was given to')
    if (client.authenticated || clients.has(client.id)) return client.id
    throw invalidClient('The client is not known.')
  }
}

const expected = 'expected authorization_code or refresh_token'
