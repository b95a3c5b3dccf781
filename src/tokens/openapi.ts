import type { z } from 'zod'
import type { Endpoint, EndpointResponse } from '../openapi/endpoints.ts'
import {
  createSchema,
  dummyReplySchema,
  dummySchema,
  introspectionSchema,
  introspectSchema,
  jwksSchema,
  metadataSchema,
  refreshSchema,
  revokeSchema,
  tokenReplySchema,
} from './schemas.ts'

const accessToken =
  'eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJlLW9mLWFuLWV4YW1wbGU'
const refreshToken = 'Vb9pQm2s6xY0cJ4kTzE1oR8uWnH3aLfD5gKqXiZtSvE'
const pair = {
  access_token: accessToken,
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: refreshToken,
  scope: 'profile',
  created_at: '2026-11-23T09:00:00.000Z',
}

const json = (schema: z.ZodType, example: unknown, type = 'application/json') => ({
  [type]: { schema, example },
})
const answer = (description: string, content: EndpointResponse['content']): EndpointResponse[] => [
  { status: 200, description, ...(content !== undefined && { content }) },
]

/** `/tokens/*` and `/.well-known/*` as the API document shows them. */
export const tokenEndpoints: readonly Endpoint[] = [
  {
    method: 'post',
    tag: 'tokens',
    path: '/tokens/create',
    prefixed: true,
    operationId: 'createTokens',
    summary: 'Tokens for a user',
    description:
      'A client that has authenticated a user begins a session: an access token (RFC 9068) and the first ' +
      'refresh token.',
    security: ['client'],
    request: {
      schema: createSchema,
      required: true,
      examples: {
        'just a user': { subject: 'user-1' },
        everything: {
          subject: 'user-1',
          scope: 'profile email',
          audience: ['https://www.jinmini.com'],
          claims: { plan: 'free' },
        },
      },
    },
    responses: answer('The first pair of the session', json(tokenReplySchema, pair)),
  },
  {
    method: 'post',
    tag: 'tokens',
    path: '/tokens/refresh',
    prefixed: true,
    operationId: 'refreshTokens',
    summary: 'The next pair',
    description:
      'Exchanges a refresh token for a new pair (RFC 6749 §6). It can be used once: used again, it ends the ' +
      'session (RFC 9700 §4.14.2). Whoever has it may use it; a client that authenticates must be the ' +
      "session's own.",
    security: ['nobody', 'client'],
    request: {
      schema: refreshSchema,
      required: true,
      examples: {
        usual: { refresh_token: refreshToken },
        'with less scope': { grant_type: 'refresh_token', refresh_token: refreshToken, scope: 'profile' },
      },
    },
    responses: answer('The next pair of the session', json(tokenReplySchema, pair)),
  },
  {
    method: 'post',
    tag: 'tokens',
    path: '/tokens/verify',
    prefixed: true,
    operationId: 'verifyToken',
    summary: 'What a token is worth',
    description:
      'Introspection (RFC 7662), for a client or for whoever bears that very token. Of a token that is not ' +
      'valid nothing is said but that. Refresh tokens are shown to clients only.',
    security: ['client', 'bearer'],
    request: { schema: introspectSchema, required: true, examples: { usual: { token: accessToken } } },
    responses: answer(
      'What it says, or that it is not active',
      json(introspectionSchema, {
        active: true,
        token_type: 'Bearer',
        sub: 'user-1',
        client_id: 'auth',
        scope: 'profile',
        exp: 1795424400,
        iat: 1795423500,
        iss: 'https://www.jinmini.com',
        aud: 'https://www.jinmini.com',
        jti: 'f1b0a8c2-4d7e-4c55-9a31-0f6d2b9e7a10',
      }),
    ),
  },
  {
    method: 'post',
    tag: 'tokens',
    path: '/tokens/revoke',
    prefixed: true,
    operationId: 'revokeTokens',
    summary: 'The end of a token, a session or all of a user',
    description:
      'Revocation (RFC 7009). A refresh token ends its session with all its access tokens, an access token ' +
      'ends alone; whoever has a token may revoke it. A client may end every session of a `subject`. ' +
      "200 also for a token that is unknown here, as one of a trusted issuer's is.",
    security: ['nobody', 'client'],
    request: {
      schema: revokeSchema,
      required: true,
      examples: { 'a token': { token: refreshToken }, 'all of a user': { subject: 'user-1' } },
    },
    responses: answer('It is not valid any more, or never was', undefined),
  },
  {
    method: 'get',
    tag: 'tokens',
    path: '/.well-known/jwks.json',
    prefixed: false,
    operationId: 'jwks',
    summary: 'Signing keys',
    description: 'The public keys that access tokens are verified with (RFC 7517).',
    security: [],
    responses: answer(
      'The key set',
      json(
        jwksSchema,
        {
          keys: [
            {
              kty: 'EC',
              crv: 'P-256',
              x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
              y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
              kid: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
              alg: 'ES256',
              use: 'sig',
            },
          ],
        },
        'application/jwk-set+json',
      ),
    ),
  },
  {
    method: 'get',
    tag: 'tokens',
    path: '/.well-known/oauth-authorization-server',
    prefixed: false,
    operationId: 'authorizationServerMetadata',
    summary: 'Where everything is',
    description: "The authorization server's metadata (RFC 8414).",
    security: [],
    responses: answer(
      'The metadata',
      json(metadataSchema, {
        issuer: 'https://www.jinmini.com',
        jwks_uri: 'https://www.jinmini.com/.well-known/jwks.json',
        authorization_endpoint: 'https://www.jinmini.com/oauth/authorize',
        token_endpoint: 'https://www.jinmini.com/oauth/token',
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
        introspection_endpoint: 'https://www.jinmini.com/tokens/verify',
        introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
        revocation_endpoint: 'https://www.jinmini.com/tokens/revoke',
        revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      }),
    ),
  },
]

/** Only where there are dummies. */
export const dummyEndpoint: Endpoint = {
  method: 'post',
  tag: 'tokens',
  path: '/tokens/dummy',
  prefixed: true,
  operationId: 'dummyToken',
  summary: 'A token to try things with (development only)',
  description:
    "Any text becomes an access token; without one a real pair is made for a test user. The gateway's " +
    'console prints it: look there. "Authorize" with it, and guarded routes answer. Only pages of the ' +
    "gateway's own and of `CORS_ORIGINS` may ask for one.",
  security: [],
  request: {
    schema: dummySchema,
    required: false,
    examples: {
      'any text': { access_token: 'anything at all' },
      'a real pair': { subject: 'test-user', scope: 'profile' },
    },
  },
  responses: answer(
    'The token',
    json(dummyReplySchema, {
      access_token: 'anything at all',
      token_type: 'Bearer',
      expires_in: 900,
      scope: '',
      created_at: '2026-11-23T09:00:00.000Z',
    }),
  ),
}
