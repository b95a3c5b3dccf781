import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import { createRateLimitEntity } from '../persistence/rate-limits.ts'

/** A key that signs access tokens, or did, or will: see keys.ts for its three ages. */
export const SigningKeyEntity = defineEntity({
  name: 'SigningKey',
  tableName: 'signing_keys',
  properties: {
    /** RFC 7638 thumbprint. */
    kid: p.string().primary(),
    algorithm: p.string(),
    publicJwk: p.json<Record<string, string>>(),
    /** JWE; see persistence/sealer.ts. */
    sealedPrivateKey: p.text(),
    createdAt: p.datetime(),
    activatedAt: p.datetime().nullable(),
    retiredAt: p.datetime().nullable(),
  },
  uniques: [
    {
      name: 'signing_keys_one_active',
      properties: ['algorithm'],
      where: 'activated_at is not null and retired_at is null',
    },
    {
      name: 'signing_keys_one_next',
      properties: ['algorithm'],
      where: 'activated_at is null and retired_at is null',
    },
  ],
})

/** What one `/tokens/create` began; all its tokens bear its id as `sid`. */
export const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    id: p.uuid().primary(),
    subject: p.string().length(255).index(),
    clientId: p.string().length(128),
    scope: p.text(),
    audience: p.json<readonly string[]>(),
    /** Further claims of every access token of the session. */
    claims: p.json<Record<string, unknown>>(),
    createdAt: p.datetime(),
    /** After this it cannot be refreshed, however often it was. */
    expiresAt: p.datetime().index(),
    revokedAt: p.datetime().nullable(),
  },
})

export const RefreshTokenEntity = defineEntity({
  name: 'RefreshToken',
  tableName: 'refresh_tokens',
  properties: {
    /** SHA-256 of the token in base64url. The token itself is stored nowhere. */
    hash: p.string().length(43).primary(),
    session: () => p.manyToOne(SessionEntity).deleteRule('cascade').index(),
    createdAt: p.datetime(),
    /** When it can be forgotten: of one that was used sooner than of one that was not, see rotation.ts. */
    expiresAt: p.datetime().index(),
    usedAt: p.datetime().nullable(),
  },
})

/** A token (`jti:…`) or session (`sid:…`) that no longer counts. */
export const DenialEntity = defineEntity({
  name: 'Denial',
  tableName: 'denials',
  properties: {
    key: p.string().length(128).primary(),
    /** When the last token it concerns has expired, and it may be forgotten. */
    expiresAt: p.datetime().index(),
    /** The transaction it was written in: what a reader has not seen yet is found by it. */
    transactionId: p.string().columnType('xid8').defaultRaw('pg_current_xact_id()').index(),
  },
})

export const tokenEntities = [
  SigningKeyEntity,
  SessionEntity,
  RefreshTokenEntity,
  DenialEntity,
  createRateLimitEntity(),
] as const

export type SigningKey = InferEntity<typeof SigningKeyEntity>
