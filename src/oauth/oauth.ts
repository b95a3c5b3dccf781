import type { Middleware } from 'koa'
import type { Config } from '../config/config.ts'
import type { DoorState } from '../door/state.ts'
import type { Log } from '../observability/log.ts'
import { createTally, type Tally } from '../observability/tally.ts'
import type { Database } from '../persistence/database.ts'
import { createSealer, type EncryptionKey } from '../persistence/sealer.ts'
import { createIdentifyClient } from '../tokens/clients.ts'
import type { Guard } from '../tokens/guard.ts'
import type { OwnTokens } from '../tokens/tokens.ts'
import { createAct } from './actor.ts'
import { createConnectionEndpoints } from './connections.ts'
import { createExchange } from './exchange.ts'
import { createInject, createProviderTokenOf, type Inject } from './inject.ts'
import { createLoginEndpoints } from './login/login.ts'
import { createLoginPage } from './login/login-page.ts'
import { createProviderList } from './provider-list.ts'
import { createRedirectUris } from './redirect-uris.ts'
import { createNoOAuthRoutes, createOAuthRoutes } from './routes.ts'
import { createVault } from './vault/vault.ts'

/** Logging in with accounts elsewhere, and the vault that keeps their tokens. */
export interface OAuth {
  /** Answers `/oauth`, `/oauth/*` and `/login`. */
  readonly middleware: Middleware<DoorState>
  /** For routes that hand their houses a provider's token. */
  readonly inject: Inject
  /** By provider and result, where there is a database. */
  readonly counts: { readonly refreshes: Tally; readonly logins: Tally }
  start(): void
  stop(): Promise<void>
}

export interface OAuthOptions {
  readonly config: Config
  /** What secrets are stored under, newest first. */
  readonly encryptionKeys: readonly EncryptionKey[]
  /** Both undefined where there is no database. */
  readonly database: Database | undefined
  readonly tokens: OwnTokens | undefined
  readonly guard: Guard
  readonly log: Log
}

/** Puts together what logs people in elsewhere and keeps the keys. */
export function createOAuth(options: OAuthOptions): OAuth {
  const { config, encryptionKeys, database, tokens, guard, log } = options
  const { publicUrl, routePrefix, oauth } = config
  const counts = { refreshes: createTally(), logins: createTally() }
  if (database === undefined || tokens === undefined || config.database.kind === 'none') {
    const middleware = createNoOAuthRoutes({ routePrefix })
    return {
      middleware,
      inject: createInject({ providerTokenOf: undefined, header: oauth.tokenHeader }),
      counts,
      start() {},
      async stop() {},
    }
  }
  const providers = new Map(
    oauth.providers.map((one) => [one.name, one.create({ timeoutMs: oauth.providerTimeoutMs })]),
  )
  const sealer = createSealer(encryptionKeys)
  const isShared = config.database.kind === 'postgres'
  const vault = createVault({
    database,
    shared: isShared,
    poolSize: config.database.kind === 'postgres' ? config.database.poolSize : 1,
    statementTimeoutMs: config.database.kind === 'postgres' ? config.database.statementTimeoutMs : 5000,
    sealer,
    providers,
    providerTimeoutMs: oauth.providerTimeoutMs,
    refreshAheadMs: oauth.refreshAheadMs,
    refreshed: counts.refreshes.add,
    log,
  })
  const redirectUris = createRedirectUris({ publicUrl, routePrefix, allowed: oauth.redirectUris })
  const loginUrl = (provider: string) => `${publicUrl}${routePrefix}/oauth/${provider}/login`
  const act = createAct({ guard, issuer: config.tokens.issuer })
  const { requestLimit, failures, open, refresh } = tokens
  const development = config.environment !== 'production'
  return {
    middleware: createOAuthRoutes({
      routePrefix,
      identifyClient: createIdentifyClient({ clients: config.tokens.clients, failures }),
      requestLimit,
      act,
      exchange: createExchange({ database, providers, redirectUris, vault }),
      connections: createConnectionEndpoints({ vault, providers, loginUrl }),
      login: createLoginEndpoints(
        {
          ...{ database, sealer, providers, redirectUris, vault, open, refresh, publicUrl, routePrefix },
          returnUrls: oauth.returnUrls,
          loginScope: oauth.loginScope,
          linkVerifiedEmail: oauth.linkVerifiedEmail,
          returned: counts.logins.add,
        },
        act,
      ),
      providerList: createProviderList({ configured: oauth.providers, off: oauth.off, loginUrl }),
      loginPage: createLoginPage({ publicUrl, routePrefix, providers: oauth.providers, development }),
    }),
    inject: createInject({
      providerTokenOf: createProviderTokenOf({
        vault,
        providers,
        issuer: config.tokens.issuer,
        loginUrl,
      }),
      header: oauth.tokenHeader,
    }),
    counts,
    start: vault.start,
    stop: vault.stop,
  }
}
