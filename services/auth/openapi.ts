/**
 * What the service says of its own API (OpenAPI 3.1). It knows nothing of the gateway: the paths are the
 * service's own, and there are no `servers`, since where it is reached is for others to say.
 */
export const openapiDocument = {
  openapi: '3.1.0',
  info: {
    title: 'AUTH service',
    version: '1.0.0',
    description: 'The example service behind the gateway: users, and later signing up and logging in.',
  },
  tags: [
    { name: 'users', description: 'Who there is' },
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
            content: {
              'application/json': {
                schema: { $ref: '#/components/schemas/Welcome' },
                example: { message: 'Welcome from AUTH service' },
              },
            },
          },
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
          200: {
            description: 'It is',
            content: {
              'application/json': {
                schema: { $ref: '#/components/schemas/Health' },
                example: { status: 'ok' },
              },
            },
          },
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
          request_id: { type: 'string' },
        },
      },
    },
    responses: {
      Problem: {
        description: 'What went wrong',
        content: {
          'application/problem+json': {
            schema: { $ref: '#/components/schemas/Problem' },
            example: { type: 'about:blank', title: 'Not Found', status: 404, code: 'not_found' },
          },
        },
      },
    },
  },
}
