import { z } from 'zod'
import type { Endpoint, EndpointResponse } from '../openapi/endpoints.ts'
import {
  authorizeQuerySchema,
  completeSchema,
  connectReplySchema,
  loginReplySchema,
  tokenRequestSchema,
} from './login/schemas-login.ts'
import {
  callbackQuerySchema,
  connectionListSchema,
  connectionSchema,
  exchangeSchema,
  idPathSchema,
  listQuerySchema,
  loginQuerySchema,
  oneQuerySchema,
  providerListSchema,
  providerPathSchema,
  refreshConnectionSchema,
  removalSchema,
} from './schemas.ts'

const code = 'gP3xYzL0mQ8rT2vW5kN7bC1dF4hJ6sA9eU0iO3pR8tE'
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const id = '0199f1d2-8a10-7b52-8f0e-5d1c2b3a4f60'
const connection = {
  id,
  provider: 'google',
  provider_user_id: '110169484474386276334',
  profile: { name: 'Jin Min', email: 'jin@example.com', email_verified: true },
  state: 'active',
  scope: 'openid email profile',
  created_at: '2026-11-23T09:00:00.000Z',
  updated_at: '2026-11-23T10:00:00.000Z',
  last_refreshed_at: '2026-11-23T10:00:00.000Z',
  access_token: 'ya29.an-access-token-of-the-provider',
  token_type: 'Bearer',
  expires_in: 3540,
}
const { access_token: _, token_type: __, expires_in: ___, ...withoutToken } = connection
const lost = {
  ...withoutToken,
  provider: 'kakao',
  state: 'needs_reauth',
  login_url: 'https://www.jinmini.com/oauth/kakao/login',
}
const renewed = { ...connection, created_at: connection.updated_at }

const loggedIn = {
  access_token: 'eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1LTEifQ.c2lnbmF0dXJl',
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: 'Vb9pQm2s6xY0cJ4kTzE1oR8uWnH3aLfD5gKqXiZtSvE',
  scope: 'profile',
  created_at: '2026-11-23T09:00:00.000Z',
  subject: 'u-1',
  provider: 'google',
  connection_id: id,
  name: 'Jin Min',
}

const page = { 'text/html': { schema: z.string() } }
const json = (schema: z.ZodType, example: unknown) => ({ 'application/json': { schema, example } })
const answer = (
  status: number,
  description: string,
  content?: EndpointResponse['content'],
): EndpointResponse => ({ status, description, ...(content !== undefined && { content }) })

const callers = ['bearer', 'client'] as const
const whose =
  "A user's token opens that user's own connections; a client says whose by `subject`. Somebody else's is as little " +
  'there as one that never was.'

/** `/oauth/*` as the API document shows it. */
export const oauthEndpoints: readonly Endpoint[] = [
  {
    method: 'get',
    tag: 'oauth',
    path: '/oauth/providers',
    prefixed: true,
    operationId: 'listProviders',
    summary: 'With which accounts one can log in',
    description: 'Where their logins begin, and which settings those lack that are not enabled.',
    security: [],
    responses: [
      answer(
        200,
        'The providers',
        json(providerListSchema, {
          providers: [
            {
              name: 'google',
              title: 'Google',
              enabled: true,
              login_url: 'https://www.jinmini.com/oauth/google/login',
            },
            {
              name: 'kakao',
              title: 'Kakao',
              enabled: false,
              missing: ['KAKAO_CLIENT_ID', 'KAKAO_CLIENT_SECRET'],
            },
          ],
        }),
      ),
    ],
  },
  {
    method: 'get',
    tag: 'oauth',
    path: '/oauth',
    prefixed: true,
    operationId: 'listConnections',
    summary: 'The accounts that are connected, each with a good token',
    description:
      `${whose} Tokens that are about to expire are refreshed first; one that cannot be refreshed now is listed ` +
      'without a token, and says why in `error`.',
    security: callers,
    parameters: { query: listQuerySchema },
    responses: [
      answer(200, 'A page of them', json(connectionListSchema, { connections: [connection, lost] })),
    ],
  },
  {
    method: 'post',
    tag: 'oauth',
    path: '/oauth',
    prefixed: true,
    operationId: 'connectAccount',
    summary: 'A code becomes a connection',
    description:
      'For a front end that has sent the browser to the provider itself. The account is connected to the caller, or ' +
      `renewed where it is already. ${whose}`,
    security: callers,
    request: {
      schema: exchangeSchema,
      required: true,
      examples: {
        'of a user': {
          provider: 'google',
          code: '4/0AfJohXn-a-code',
          redirect_uri: 'https://www.jinmini.com/login/google',
          code_verifier: verifier,
        },
        'of a client': { provider: 'naver', code: 'a-code', state: 'its-state', subject: 'user-1' },
      },
    },
    responses: [
      answer(
        201,
        'The connection, at `Location`; errors of the provider are 502 and 504 `provider_…`',
        json(connectionSchema, renewed),
      ),
    ],
  },
  {
    method: 'get',
    tag: 'oauth',
    path: '/oauth/{id}',
    prefixed: true,
    operationId: 'showConnection',
    summary: 'One connection, with a good token',
    description: `${whose} Where the user has to log in again there is a \`login_url\` instead of a token.`,
    security: callers,
    parameters: { path: idPathSchema, query: oneQuerySchema },
    responses: [answer(200, 'The connection', json(connectionSchema, connection))],
  },
  {
    method: 'delete',
    tag: 'oauth',
    path: '/oauth/{id}',
    prefixed: true,
    operationId: 'removeConnection',
    summary: 'The end of a connection',
    description: `Its tokens are erased, and the grant is ended at the provider. ${whose}`,
    security: callers,
    parameters: { path: idPathSchema, query: oneQuerySchema },
    responses: [
      answer(200, 'It is gone', json(removalSchema, { id, revocation: 'done' })),
      answer(
        202,
        'It is gone; the provider was away, and is asked to end the grant later',
        json(removalSchema, { id, revocation: 'queued' }),
      ),
    ],
  },
  {
    method: 'post',
    tag: 'oauth',
    path: '/oauth/{id}/refresh',
    prefixed: true,
    operationId: 'refreshConnection',
    summary: 'A new token now',
    description:
      'For a token that the provider does not take any more, though it has not expired. 409 ' +
      `\`reauthorization_required\` with a \`login_url\` where the user has to log in again. ${whose}`,
    security: callers,
    parameters: { path: idPathSchema },
    request: {
      schema: refreshConnectionSchema,
      required: false,
      examples: { 'of a user': {}, 'of a client': { subject: 'user-1' } },
    },
    responses: [answer(200, 'The connection', json(connectionSchema, connection))],
  },
  {
    method: 'get',
    tag: 'oauth',
    path: '/oauth/{provider}/login',
    prefixed: true,
    operationId: 'beginLogin',
    summary: 'The beginning of a login, for browsers',
    description:
      'Sends the browser to the provider. In the end it comes back to `return_to`, with a `code` for ' +
      '`POST /oauth/login/complete`, and with the `state` that was given here. Open it as a page: Swagger UI cannot ' +
      'follow it elsewhere.',
    security: [],
    parameters: { path: providerPathSchema, query: loginQuerySchema },
    responses: [answer(302, 'To the provider'), answer(400, 'A page that says what to do', page)],
  },
  {
    method: 'get',
    tag: 'oauth',
    path: '/oauth/{provider}/callback',
    prefixed: true,
    operationId: 'loginCallback',
    summary: 'Where a provider sends the browser back to',
    description:
      'The redirect URI to register at the provider. Only the browser that began the login gets through, once.',
    security: [],
    parameters: { path: providerPathSchema, query: callbackQuerySchema },
    responses: [answer(302, 'To `return_to`'), answer(400, 'A page that says what to do', page)],
  },
  {
    method: 'get',
    tag: 'oauth',
    path: '/oauth/authorize',
    prefixed: true,
    operationId: 'authorize',
    summary: 'The beginning of a login, for standard OAuth clients',
    description:
      'RFC 6749 §4.1.1 with PKCE (RFC 7636): the same logins, for libraries that know this form. Open it as a page. ' +
      'Errors come back to `redirect_uri` (§4.1.2.1), but for those of `client_id` and `redirect_uri` themselves.',
    security: [],
    parameters: { query: authorizeQuerySchema },
    responses: [
      answer(200, 'A page that asks where to log in', page),
      answer(302, 'To the provider, or with an error to `redirect_uri`'),
      answer(400, 'A page that says what to do', page),
    ],
  },
  {
    method: 'post',
    tag: 'oauth',
    path: '/oauth/token',
    prefixed: true,
    operationId: 'token',
    summary: 'The end of such a login: tokens of the gateway',
    description:
      'RFC 6749 §4.1.3 and §6: for a code of `/oauth/authorize`, with the `client_id`, the `redirect_uri` and the ' +
      '`code_verifier` that belong to it; or for a refresh token, as `/tokens/refresh` does.',
    security: ['nobody', 'client'],
    request: {
      schema: tokenRequestSchema,
      required: true,
      examples: {
        'a code': {
          grant_type: 'authorization_code',
          code,
          redirect_uri: 'https://www.jinmini.com/login/done',
          client_id: 'munjigi',
          code_verifier: verifier,
        },
        'a refresh token': {
          grant_type: 'refresh_token',
          refresh_token: 'Vb9pQm2s6xY0cJ4kTzE1oR8uWnH3aLfD5gKqXiZtSvE',
        },
      },
    },
    responses: [
      answer(
        200,
        'A pair; for a code also who has logged in',
        json(loginReplySchema.partial({ subject: true, provider: true, connection_id: true }), loggedIn),
      ),
    ],
  },
  {
    method: 'post',
    tag: 'oauth',
    path: '/oauth/login/complete',
    prefixed: true,
    operationId: 'completeLogin',
    summary: 'The end of a login: tokens of the gateway',
    description:
      'For a front end, with the code that its login came back with. With `connect` and a Bearer token the account is ' +
      "connected to that token's user instead.",
    security: ['nobody', 'bearer'],
    request: {
      schema: completeSchema,
      required: true,
      examples: {
        'log in': { code, code_verifier: verifier },
        connect: { code, code_verifier: verifier, connect: true },
      },
    },
    responses: [
      answer(
        200,
        'Somebody has logged in',
        json(loginReplySchema, loggedIn),
      ),
      answer(
        201,
        'The account is connected',
        json(connectReplySchema, { id, provider: 'google', subject: 'u-1' }),
      ),
    ],
  },
]
