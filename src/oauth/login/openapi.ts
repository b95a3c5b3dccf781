import { z } from 'zod'
import type { Endpoint, EndpointResponse } from '../../openapi/endpoints.ts'
import { callbackQuerySchema, loginQuerySchema, providerPathSchema } from '../schemas.ts'
import {
  authorizeQuerySchema,
  completeSchema,
  connectReplySchema,
  loginReplySchema,
  tokenRequestSchema,
} from './schemas-login.ts'

const code = 'gP3xYzL0mQ8rT2vW5kN7bC1dF4hJ6sA9eU0iO3pR8tE'
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const id = '0199f1d2-8a10-7b52-8f0e-5d1c2b3a4f60'
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

/** Logins by a provider as the API document shows them. */
export const loginEndpoints: readonly Endpoint[] = [
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
      answer(200, 'Somebody has logged in', json(loginReplySchema, loggedIn)),
      answer(
        201,
        'The account is connected',
        json(connectReplySchema, { id, provider: 'google', subject: 'u-1' }),
      ),
    ],
  },
]
