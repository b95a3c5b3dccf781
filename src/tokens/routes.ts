import Router from '@koa/router'
import type { Middleware } from 'koa'
import type { TokensConfig } from '../config/config.ts'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import { createReadBody } from './body.ts'
import { createIdentifyClient } from './clients.ts'
import { createCreate, type Open } from './create.ts'
import type { Denials } from './denials.ts'
import type { Dummies } from './dummies.ts'
import { createDummy } from './dummy.ts'
import { createIntrospect, type Inspect } from './introspect.ts'
import type { Issuer } from './issue.ts'
import type { KeyRing } from './keys.ts'
import type { AuthenticationFailures } from './limits.ts'
import { createJwks, createMetadata } from './metadata.ts'
import { createRefresh } from './refresh.ts'
import type { RequestLimit } from './request-limit.ts'
import { createRevoke } from './revoke.ts'
import { createRotation } from './rotation.ts'
import { createSuccessorDerivation } from './secrets.ts'
import { serveOAuth } from './serve-oauth.ts'
import type { TokenState, TokenStep } from './state.ts'

export interface TokenRoutesOptions {
  readonly config: Omit<TokensConfig, 'trustedIssuers' | 'headers' | 'revocation'>
  /** What browsers see, without a trailing slash. */
  readonly publicUrl: string
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  readonly database: Pick<Database, 'run' | 'transaction'>
  readonly keys: Pick<KeyRing, 'jwks'>
  readonly issuer: Issuer
  readonly open: Open
  readonly denials: Pick<Denials, 'isFresh' | 'write' | 'remember'>
  readonly inspect: Inspect
  /** Undefined where there are none: then there is no `/tokens/dummy`. */
  readonly dummies: Dummies | undefined
  /** The key-encryption keys, newest first: see rotation.ts. */
  readonly successorKeys: readonly Uint8Array[]
  readonly requestLimit: RequestLimit
  readonly failures: AuthenticationFailures
  /** Whether somebody can log in: see oauth/login/authorize.ts. */
  readonly logins?: boolean
  readonly log: Log
}

export interface TokenRoutes {
  /** Answers `/tokens/*` and `/.well-known/*`, and leaves every other path to the next one. */
  readonly middleware: Middleware<DoorState>
}

/** Tokens from one end to the other: each endpoint is the list of its steps. */
export function createTokenRoutes(
  options: TokenRoutesOptions,
): TokenRoutes & { /** `POST /tokens/refresh` after its first steps. */ readonly refresh: TokenStep } {
  const { config, routePrefix, open, dummies, log } = options
  const { clients, accessTokenLifetime } = config
  const identifyClient = createIdentifyClient({ clients, failures: options.failures })
  const { count, settle } = options.requestLimit
  const readBody = createReadBody()
  const rotate = createRotation({
    refreshTokenLifetime: config.refreshTokenLifetime,
    graceMs: config.refreshGraceMs,
    derivations: options.successorKeys.map(createSuccessorDerivation),
  })
  const create = createCreate({ open })
  const refresh = createRefresh({ ...options, rotate })
  const introspect = createIntrospect(options)
  const revoke = createRevoke(options)

  const router = new Router<TokenState>({ strict: true, sensitive: true })
  const at = (path: string) => `${routePrefix}/tokens${path}`
  router.post(at('/create'), count, readBody, identifyClient, settle, create)
  router.post(at('/refresh'), count, readBody, identifyClient, settle, refresh)
  router.post(at('/verify'), count, readBody, identifyClient, settle, introspect)
  router.post(at('/revoke'), count, readBody, identifyClient, settle, revoke)
  if (dummies !== undefined) {
    const { issuer } = config
    const dummy = createDummy({ dummies, open, issuer, accessTokenLifetime, log })
    router.post(at('/dummy'), count, readBody, settle, dummy)
  }
  router.get('/.well-known/jwks.json', createJwks(options))
  router.get('/.well-known/oauth-authorization-server', createMetadata({ ...options, issuer: config.issuer }))
  return { middleware: serveOAuth(router, at('')), refresh }
}

/** The same paths of a gateway without a database: they say why there is nothing. */
export function createNoTokenRoutes({ routePrefix }: { routePrefix: string }): TokenRoutes {
  const paths = new Set(['/.well-known/jwks.json', '/.well-known/oauth-authorization-server'])
  return {
    middleware(ctx, next) {
      const isToken = ctx.path.startsWith(`${routePrefix}/tokens/`)
      if (!isToken && !paths.has(ctx.path)) return next()
      ctx.state.oauthErrors = isToken
      throw new GatewayError('not_found', {
        detail: 'This gateway has no database (DATABASE_URL=none), and so no tokens of its own.',
      })
    },
  }
}
