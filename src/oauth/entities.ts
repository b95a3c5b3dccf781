import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import type { ProviderProfile } from './provider.ts'

/** An account elsewhere that is connected to one of our subjects, and the tokens for it: the vault. */
export const ConnectionEntity = defineEntity({
  name: 'Connection',
  tableName: 'connections',
  properties: {
    id: p.uuid().primary(),
    /** Whose it is. */
    subject: p.string().length(255),
    provider: p.string().length(64),
    /** The provider's id for the user. */
    providerUserId: p.string().length(255),
    profile: p.json<ProviderProfile>(),
    /** Space-separated; empty where the provider did not say. */
    scope: p.text(),
    tokenType: p.string().length(32),
    /** JWE, for the place `connections.access_token:<id>`; see persistence/sealer.ts. */
    sealedAccessToken: p.text(),
    /** `connections.refresh_token:<id>` */
    sealedRefreshToken: p.text().nullable(),
    /** Of the access token; null for one that does not expire. */
    expiresAt: p.datetime().nullable(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
    lastRefreshedAt: p.datetime().nullable(),
    state: p.string().length(16).$type<'active' | 'needs_reauth'>(),
    /** How often its tokens were replaced: who writes must have read this very one. */
    generation: p.integer().default(0),
    /** Refreshes that failed in a row, and until when none is tried. */
    failures: p.integer().default(0),
    retryAt: p.datetime().nullable(),
    /** When it is refreshed though nobody asks, lest it die of disuse. */
    keepAliveAt: p.datetime().nullable().index(),
  },
  uniques: [{ name: 'connections_one_of_an_account', properties: ['subject', 'provider', 'providerUserId'] }],
})

/**
 * A provider that was asked for new tokens of a connection, and has not answered as far as the database knows. No
 * foreign key: the connection's row is locked by then.
 */
const RefreshQuestionEntity = defineEntity({
  name: 'RefreshQuestion',
  tableName: 'refresh_questions',
  properties: {
    connectionId: p.uuid().primary(),
    /** The process that asks. */
    asker: p.uuid(),
    /** Tells this question from others of the same process. */
    question: p.uuid(),
  },
})

/** Which of our subjects logs in with which account elsewhere. */
export const IdentityEntity = defineEntity({
  name: 'Identity',
  tableName: 'identities',
  properties: {
    provider: p.string().length(64).primary(),
    providerUserId: p.string().length(255).primary(),
    subject: p.string().length(255).index(),
    /** Lower case; null where the provider does not vouch for one. */
    verifiedEmail: p.string().length(320).nullable().index(),
    createdAt: p.datetime(),
    lastLoginAt: p.datetime(),
  },
})

/** A browser that was sent to a provider and has not come back yet. */
const LoginAttemptEntity = defineEntity({
  name: 'LoginAttempt',
  tableName: 'login_attempts',
  properties: {
    /** SHA-256 of `state` in base64url. */
    stateHash: p.string().length(43).primary(),
    /** SHA-256 of the browser's cookie: nobody else may come back with this state. */
    browserHash: p.string().length(43),
    provider: p.string().length(64),
    /** JWE of nonce and PKCE verifier, for the place `login_attempts.secrets:<state hash>`. */
    sealedSecrets: p.text(),
    /** Where the browser goes in the end, with a code. */
    returnTo: p.text(),
    /** The front end's own state and PKCE challenge (S256), given back and asked for with the code. */
    returnState: p.string().length(512).nullable(),
    codeChallenge: p.string().length(43).nullable(),
    expiresAt: p.datetime().index(),
  },
})

/** What a front end exchanges for tokens, once, at `/oauth/login/complete`. */
const LoginCodeEntity = defineEntity({
  name: 'LoginCode',
  tableName: 'login_codes',
  properties: {
    /** SHA-256 of the code in base64url. */
    hash: p.string().length(43).primary(),
    provider: p.string().length(64),
    /** JWE of the provider's grant, for the place `login_codes.grant:<hash>`. */
    sealedGrant: p.text(),
    /** SHA-256 of the cookie of the browser that began the login. */
    browserHash: p.string().length(43),
    codeChallenge: p.string().length(43).nullable(),
    expiresAt: p.datetime().index(),
  },
})

/** A grant that is to be ended at its provider: its connection is gone already. */
export const ProviderRevocationEntity = defineEntity({
  name: 'ProviderRevocation',
  tableName: 'provider_revocations',
  properties: {
    id: p.uuid().primary(),
    provider: p.string().length(64),
    providerUserId: p.string().length(255),
    /** JWE of the tokens, for the place `provider_revocations.tokens:<id>`. */
    sealedTokens: p.text(),
    createdAt: p.datetime(),
    attempts: p.integer().default(0),
    nextAttemptAt: p.datetime().index(),
  },
})

export const oauthEntities = [
  ConnectionEntity,
  RefreshQuestionEntity,
  IdentityEntity,
  LoginAttemptEntity,
  LoginCodeEntity,
  ProviderRevocationEntity,
] as const

export type ConnectionRow = InferEntity<typeof ConnectionEntity>
