import { z } from 'zod'
import { loginRequest, me, signupRequest, tokenPair, user } from './schemas.ts'

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

const problem = (description: string, code: string, status: number, title: string) => ({
  description: `${description} (\`${code}\`)`,
  content: {
    'application/problem+json': {
      schema: ref('Problem'),
      example: { type: 'about:blank', title, status, code },
    },
  },
})

const json = (name: string, example?: unknown) => ({
  'application/json': { schema: ref(name), ...(example !== undefined && { example }) },
})

const account = { email: 'ann@example.com', password: 'correct horse battery staple' }
const ann = {
  id: '7b0c2c57-6a6c-4a2e-9f0e-0a4f4d1d9a11',
  email: 'ann@example.com',
  name: 'Ann',
  created_at: '2026-11-23T09:00:00.000Z',
}

const tooOften = problem('Too often; see Retry-After', 'too_many_requests', 429, 'Too Many Requests')
const invalid = problem(
  'The body is not as described; `errors` names the members',
  'invalid_request',
  400,
  'Bad Request',
)
const unavailable = problem(
  'Not just now; see Retry-After',
  'database_unavailable',
  503,
  'Service Unavailable',
)

/** JSON Schema as OpenAPI 3.1 has it, of the very schema that requests are checked with. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output' = 'output') {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}

/**
 * What the service says of its own API (OpenAPI 3.1). It knows nothing of the gateway: the paths are the
 * service's own, and there are no `servers`, since where it is reached is for others to say.
 */
export const openapiDocument = {
  openapi: '3.1.0',
  info: {
    title: 'AUTH service',
    version: '1.0.0',
    description: 'The example service behind the gateway: users, signing up and logging in.',
  },
  tags: [
    { name: 'users', description: 'Who there is' },
    { name: 'accounts', description: 'Signing up, logging in, and who is calling' },
    { name: 'operation', description: 'How the service is' },
  ],
  paths: {
    '/users': {
      get: {
        tags: ['users'],
        operationId: 'getUsers',
        summary: 'Say welcome',
        description: 'Answers with a greeting: proof that a request has come the whole way to the service.',
        responses: {
          200: {
            description: 'The greeting',
            content: json('Welcome', { message: 'Welcome from AUTH service' }),
          },
          default: { $ref: '#/components/responses/Problem' },
        },
      },
    },
    '/user/signup': {
      post: {
        tags: ['accounts'],
        operationId: 'signup',
        summary: 'Sign up',
        requestBody: { required: true, content: json('SignupRequest', { ...account, name: 'Ann' }) },
        responses: {
          201: { description: 'The new user', content: json('User', ann) },
          400: invalid,
          409: problem('The e-mail is taken', 'email_taken', 409, 'Conflict'),
          429: tooOften,
          503: unavailable,
          default: { $ref: '#/components/responses/Problem' },
        },
      },
    },
    '/user/login': {
      post: {
        tags: ['accounts'],
        operationId: 'login',
        summary: 'Log in',
        description: "Answers with a token pair of the gateway's; the access token is a Bearer token.",
        requestBody: { required: true, content: json('LoginRequest', account) },
        responses: {
          200: { description: 'The token pair', content: json('TokenPair') },
          400: invalid,
          401: problem('The e-mail or the password is wrong', 'invalid_credentials', 401, 'Unauthorized'),
          429: tooOften,
          502: problem('The gateway refused to issue tokens', 'gateway_unavailable', 502, 'Bad Gateway'),
          503: unavailable,
          default: { $ref: '#/components/responses/Problem' },
        },
      },
    },
    '/user/me': {
      get: {
        tags: ['accounts'],
        operationId: 'getMe',
        summary: 'Say who is calling',
        description: 'A subject that is no user of this service has an `id` and a `scope`, and no more.',
        security: [{ bearer: [] }],
        responses: {
          200: { description: 'The caller', content: json('Me', { ...ann, scope: 'profile' }) },
          401: problem('Nobody is logged in', 'authentication_required', 401, 'Unauthorized'),
          503: unavailable,
          default: { $ref: '#/components/responses/Problem' },
        },
      },
    },
    '/health': {
      get: {
        tags: ['operation'],
        operationId: 'getHealth',
        summary: 'Say whether the service is well',
        description: "Consul's HTTP check asks here.",
        responses: {
          200: { description: 'It is', content: json('Health', { status: 'ok' }) },
        },
      },
    },
  },
  components: {
    schemas: {
      Welcome: {
        type: 'object',
        required: ['message'],
        properties: { message: { type: 'string', description: 'The greeting' } },
      },
      Health: {
        type: 'object',
        required: ['status'],
        properties: { status: { const: 'ok' } },
      },
      SignupRequest: schemaOf(signupRequest, 'input'),
      LoginRequest: schemaOf(loginRequest, 'input'),
      User: schemaOf(user),
      TokenPair: schemaOf(tokenPair),
      Me: schemaOf(me),
      Problem: {
        type: 'object',
        description: 'Problem details (RFC 9457)',
        required: ['type', 'title', 'status', 'code'],
        properties: {
          type: { type: 'string', format: 'uri-reference' },
          title: { type: 'string' },
          status: { type: 'integer' },
          code: { type: 'string', description: 'Stable: programs may rely on it' },
          detail: { type: 'string' },
          errors: {
            type: 'array',
            description: 'The members of the request that are at fault',
            items: {
              type: 'object',
              required: ['pointer', 'detail'],
              properties: {
                pointer: { type: 'string', description: 'JSON Pointer into the body, such as `#/email`' },
                detail: { type: 'string' },
              },
            },
          },
          request_id: { type: 'string' },
        },
      },
    },
    responses: {
      Problem: {
        description: 'What went wrong',
        content: {
          'application/problem+json': {
            schema: ref('Problem'),
            example: { type: 'about:blank', title: 'Not Found', status: 404, code: 'not_found' },
          },
        },
      },
    },
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', description: "The gateway's access token" },
    },
  },
}
