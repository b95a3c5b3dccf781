import type { z } from 'zod'
import type { Endpoint, EndpointResponse } from '../openapi/endpoints.ts'
import { loginEndpoints } from './login/openapi.ts'
import {
  connectionListSchema,
  connectionSchema,
  exchangeSchema,
  idPathSchema,
  listQuerySchema,
  oneQuerySchema,
  providerListSchema,
  refreshConnectionSchema,
  removalSchema,
} from './schemas.ts'

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
  ...loginEndpoints,
]
