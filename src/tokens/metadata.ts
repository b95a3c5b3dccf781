import { GatewayError } from '../errors.ts'
import { jwksMaxAgeSeconds } from './key-rotation.ts'
import type { KeyRing } from './keys.ts'
import type { Metadata } from './schemas.ts'
import type { TokenStep } from './state.ts'

/** `GET /.well-known/jwks.json` (RFC 7517 §5): what the gateway's tokens are verified with. */
export function createJwks({ keys }: { keys: Pick<KeyRing, 'jwks'> }): TokenStep {
  return function jwks(ctx) {
    const set = keys.jwks()
    if (set.keys.length === 0) {
      // An empty set would be kept, and every token refused with it.
      throw new GatewayError('database_unavailable', {
        detail: 'The signing keys have not been read yet.',
        headers: { 'Retry-After': '1' },
      })
    }
    ctx.set('Cache-Control', `public, max-age=${jwksMaxAgeSeconds}`)
    ctx.type = 'application/jwk-set+json'
    ctx.body = JSON.stringify(set)
  }
}

export interface MetadataOptions {
  readonly issuer: string
  /** What others see, without a trailing slash. */
  readonly publicUrl: string
  readonly routePrefix: string
  /** Whether somebody can log in, by an authorization code. */
  readonly logins?: boolean
}

/** `GET /.well-known/oauth-authorization-server` (RFC 8414): where everything is. */
export function createMetadata(options: MetadataOptions): TokenStep {
  const metadata = metadataOf(options)
  return function describe(ctx) {
    ctx.set('Cache-Control', 'public, max-age=300')
    ctx.body = metadata
  }
}

function metadataOf({ issuer, publicUrl, routePrefix, logins = false }: MetadataOptions): Metadata {
  const tokens = `${publicUrl}${routePrefix}/tokens`
  const oauth = `${publicUrl}${routePrefix}/oauth`
  const clientMethods = ['client_secret_basic', 'client_secret_post']
  return {
    issuer,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    ...(logins && { authorization_endpoint: `${oauth}/authorize` }),
    token_endpoint: logins ? `${oauth}/token` : `${tokens}/refresh`,
    token_endpoint_auth_methods_supported: [...clientMethods, 'none'],
    grant_types_supported: [...(logins ? ['authorization_code'] : []), 'refresh_token'],
    response_types_supported: logins ? ['code'] : [],
    ...(logins && { code_challenge_methods_supported: ['S256'] }),
    introspection_endpoint: `${tokens}/verify`,
    introspection_endpoint_auth_methods_supported: clientMethods,
    revocation_endpoint: `${tokens}/revoke`,
    revocation_endpoint_auth_methods_supported: [...clientMethods, 'none'],
  }
}
