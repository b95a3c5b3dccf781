import type { Middleware } from 'koa'
import type { Config } from '../config/config.ts'
import type { DoorState } from '../door/state.ts'
import type { Log } from '../observability/log.ts'
import type { Database, DatabaseState } from '../persistence/database.ts'
import { createSealer, type EncryptionKey } from '../persistence/sealer.ts'
import { gatewayTables } from '../persistence/tables.ts'
import { createAuthenticationFailures } from './authentication-failures.ts'
import { createOpen, type Open } from './create.ts'
import { createDenials } from './denials.ts'
import { createDummies } from './dummies.ts'
import { createGuard, type Guard } from './guard.ts'
import type { Identity } from './identity.ts'
import { createInspect } from './introspect.ts'
import { createIssuer } from './issue.ts'
import { createTrustedIssuer } from './issuers.ts'
import { createKeyRing, type KeyRingStatus } from './keys.ts'
import type { AuthenticationFailures } from './limits.ts'
import { createPruner } from './prune.ts'
import { createRequestLimit, type RequestLimit } from './request-limit.ts'
import { createRevocations } from './revocations.ts'
import { createNoTokenRoutes, createTokenRoutes } from './routes.ts'
import type { TokenStep } from './state.ts'
import { createVerifiedTokens } from './verified.ts'
import { createVerifier } from './verify.ts'

/** Everything that has to do with who is calling. */
export interface Tokens {
  /** Decides who may pass a route. */
  readonly guard: Guard
  /** Whether the token that somebody passed with was revoked since, as far as is known; others' tokens never are. */
  readonly isRevoked: (identity: Identity) => boolean
  /** Answers `/tokens/*` and `/.well-known/*`. */
  readonly middleware: Middleware<DoorState>
  /** Whether tokens can be issued and judged; once true it stays so, whatever becomes of the database. */
  readonly ready: () => boolean
  /** Undefined where there is no database. */
  readonly database: (() => DatabaseState) | undefined
  /** Whether tokens can be signed; undefined where there is no database. */
  readonly signing: (() => SigningState) | undefined
  /** The keys that sign them; undefined where there is no database. */
  readonly keys: (() => KeyRingStatus) | undefined
  /** How old what is known of revocations is, in milliseconds; undefined where there is no database. */
  readonly revocationAgeMs: (() => number) | undefined
  /** Makes guessing slow, wherever a secret is asked for. */
  readonly failures: AuthenticationFailures
  /** What other endpoints of the gateway's own need; undefined where there is no database. */
  readonly own: OwnTokens | undefined
  start(): void
  stop(): void
}

/** Tokens of the gateway's own, for those who hand them out, and for those who serve its clients. */
export interface OwnTokens {
  readonly open: Open
  readonly requestLimit: RequestLimit
  readonly failures: AuthenticationFailures
  /** `grant_type=refresh_token`, after the steps that read the body and identify the client. */
  readonly refresh: TokenStep
}

/** `no key`: the keys were read, but the one that should sign cannot be opened with ENCRYPTION_KEYS. */
type SigningState = 'starting' | 'ready' | 'no key'

export interface TokensOptions {
  readonly config: Config
  /** What secrets are stored under, newest first; empty where there is no database. */
  readonly encryptionKeys: readonly EncryptionKey[]
  readonly log: Log
  /** Undefined where there is none; started and stopped by whoever made it. */
  readonly database: Database | undefined
}

/** Puts together what issues, checks and revokes tokens. */
export function createTokens(options: TokensOptions): Tokens {
  const { config, log } = options
  const { issuer, audience, trustedIssuers, verifiedTokens, headers } = config.tokens
  const trusted = trustedIssuers.map((one) => createTrustedIssuer({ ...one, log }))
  const failures = createAuthenticationFailures({
    rate: config.protection.tokenFailureRate,
    database: config.database.kind === 'postgres' ? options.database : undefined,
    schema: gatewayTables.schema,
    log,
  })
  const own = createOwn(options, failures)
  const verifier = createVerifier({ keys: own?.keys, issuer, audience, trusted })
  const guard = createGuard({
    verifier,
    verified: createVerifiedTokens(verifiedTokens),
    revocations: own?.revocations,
    issuer,
    dummies: own?.dummies,
    headers,
  })
  const ownRoutes = own?.routes(verifier)
  const routes = ownRoutes ?? createNoTokenRoutes(config)
  let isReady = own === undefined
  return {
    guard,
    isRevoked: (identity) => own?.revocations.isRevoked(identity) ?? false,
    middleware: routes.middleware,
    ready: () => (isReady ||= own?.ready() === true),
    database: options.database?.state,
    signing: own?.signing,
    keys: own?.keys.status,
    revocationAgeMs: own?.denials.ageMs,
    failures,
    own: own && ownRoutes && { ...own.shared, refresh: ownRoutes.refresh },
    start() {
      for (const one of trusted) one.start()
      own?.start()
    },
    stop() {
      for (const one of trusted) one.stop()
      own?.stop()
    },
  }
}

/** What there is besides where the gateway has a database, and so tokens of its own. */
function createOwn(
  { config, encryptionKeys, log, database }: TokensOptions,
  failures: AuthenticationFailures,
) {
  if (database === undefined) return undefined
  const { tokens, protection, publicUrl, routePrefix } = config
  const { pollingIntervalMs, maxStalenessMs } = tokens.revocation
  const keys = createKeyRing({
    database,
    sealer: createSealer(encryptionKeys),
    log,
    signingKeyLifetimeSeconds: tokens.signingKeyLifetime,
    pollingIntervalMs,
  })
  const denials = createDenials({ database, log, pollingIntervalMs, maxStalenessMs })
  const revocations = createRevocations({ issuer: tokens.issuer, denials, keys })
  const pruner = createPruner({ database, log })
  const origins = [publicUrl, ...protection.corsOrigins]
  const dummies = tokens.dummies ? createDummies({ origins }) : undefined
  const issuer = createIssuer({
    keys,
    issuer: tokens.issuer,
    audience: tokens.audience,
    accessTokenLifetimeSeconds: tokens.accessTokenLifetime,
  })
  const shared: Omit<OwnTokens, 'refresh'> = {
    open: createOpen({ database, issuer, lifetimes: tokens }),
    requestLimit: createRequestLimit(protection.tokenRate),
    failures,
  }
  return {
    shared,
    keys,
    denials,
    revocations,
    dummies,
    ready: () => database.ready() && keys.active() !== undefined && denials.isFresh(),
    signing: (): SigningState =>
      keys.active() !== undefined ? 'ready' : keys.jwks().keys.length === 0 ? 'starting' : 'no key',
    routes: (verifier: ReturnType<typeof createVerifier>) =>
      createTokenRoutes({
        config: tokens,
        publicUrl,
        routePrefix,
        database,
        keys,
        issuer,
        denials,
        inspect: createInspect(verifier, denials),
        dummies,
        successorKeys: encryptionKeys.map(({ secret }) => Buffer.from(secret, 'base64')),
        ...shared,
        logins: config.oauth.providers.length > 0,
        log,
      }),
    start() {
      keys.start()
      denials.start()
      pruner.start()
    },
    stop: () => pruner.stop(),
  }
}
