import { z } from 'zod'
import { oauthEndpoints } from '../oauth/openapi.ts'
import { dummyEndpoint, tokenEndpoints } from '../tokens/openapi.ts'
import {
  type Endpoint,
  type EndpointParameters,
  type EndpointRequest,
  type EndpointResponse,
  endpoints,
  oauthProblemSchema,
  problemSchema,
} from './endpoints.ts'
import type { Json, JsonObject } from './json.ts'
import { loginSchemeName, withLogin } from './security.ts'

export interface GatewayDocumentOptions {
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  readonly version: string
  /** Whether it has tokens of its own, and a vault: not without a database. */
  readonly tokens: boolean
  /** Whether `/tokens/dummy` is there: not in production. */
  readonly dummies: boolean
  /** Where somebody can log in; undefined where nobody can. */
  readonly login?: DocumentLogin | undefined
}

interface DocumentLogin {
  /** What others see, without a trailing slash. */
  readonly publicUrl: string
  /** What is granted: scopes separated by spaces. */
  readonly scope: string
}

/** The gateway's own OpenAPI 3.1 document, built from the zod schemas of its endpoints. */
export function createGatewayDocument(options: GatewayDocumentOptions): JsonObject {
  const { routePrefix, version, tokens, dummies, login } = options
  const shown = [
    ...endpoints,
    ...(tokens ? tokenEndpoints : []),
    ...(tokens && dummies ? [dummyEndpoint] : []),
    ...(tokens ? oauthEndpoints : []),
  ]
  const paths: Record<string, JsonObject> = {}
  for (const endpoint of shown) {
    const path = publicPath(endpoint, routePrefix)
    paths[path] = { ...paths[path], [endpoint.method]: operationOf(endpoint, login !== undefined) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'munjigi',
      version,
      description: 'The API gateway and, live, every service behind it that publishes an OpenAPI document.',
    },
    servers: [{ url: '/', description: 'This gateway' }],
    tags: [
      { name: 'gateway', description: "The gateway's own endpoints" },
      ...(tokens
        ? [
            { name: 'tokens', description: 'Who is calling: access and refresh tokens' },
            {
              name: 'oauth',
              description: "Logging in elsewhere, and the keys to the callers' accounts there",
            },
          ]
        : []),
    ],
    paths,
    components: {
      schemas: {
        Problem: jsonSchema(problemSchema),
        ...(tokens && { OAuthProblem: jsonSchema(oauthProblemSchema) }),
      },
      responses: {
        Problem: problemResponse('Problem details (RFC 9457)', 'Problem', problemExample),
        ...(tokens && {
          OAuthProblem: problemResponse(
            'Problem details (RFC 9457), readable as an OAuth error (RFC 6749 §5.2)',
            'OAuthProblem',
            oauthProblemExample,
          ),
        }),
      },
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token, as services behind the gateway ask for it',
        },
        ...(login && { [loginSchemeName]: loginScheme(login, routePrefix) }),
        ...(tokens && {
          client: {
            type: 'http',
            scheme: 'basic',
            description: 'A client of the gateway (GATEWAY_CLIENTS): its id and secret',
          },
        }),
      },
    },
  }
}

/** RFC 6749 §4.1 with RFC 7636: oauth/login/authorize.ts and token.ts. */
function loginScheme({ publicUrl, scope }: DocumentLogin, routePrefix: string): JsonObject {
  const at = (path: string) => `${publicUrl}${routePrefix}/oauth/${path}`
  const scopes = scope.split(' ').filter((one) => one !== '')
  return {
    type: 'oauth2',
    description: 'The same token, from a login with an account elsewhere',
    flows: {
      authorizationCode: {
        authorizationUrl: at('authorize'),
        tokenUrl: at('token'),
        refreshUrl: at('token'),
        scopes: Object.fromEntries(scopes.map((one) => [one, 'Granted where none is chosen'])),
      },
    },
  }
}

function operationOf(endpoint: Endpoint, logins: boolean): JsonObject {
  const { request, parameters } = endpoint
  const security = endpoint.security.map(
    (scheme): JsonObject => (scheme === 'nobody' ? {} : { [scheme]: [] }),
  )
  const responses = endpoint.responses.map(({ status, description, content }) => [
    String(status),
    { description, ...(content !== undefined && { content: mediaTypes(content) }) },
  ])
  const problem = /^\/(?:tokens|oauth)(?:\/|$)/.test(endpoint.path) ? 'OAuthProblem' : 'Problem'
  return {
    tags: [endpoint.tag],
    operationId: endpoint.operationId,
    summary: endpoint.summary,
    description: endpoint.description,
    security: logins ? withLogin(security) : security,
    ...(parameters !== undefined && { parameters: parametersOf(parameters) }),
    ...(request !== undefined && { requestBody: requestBody(request) }),
    responses: {
      ...Object.fromEntries(responses),
      default: { $ref: `#/components/responses/${problem}` },
    },
  }
}

function parametersOf(parameters: EndpointParameters): JsonObject[] {
  return (['path', 'query'] as const).flatMap((place) =>
    Object.entries(parameters[place]?.shape ?? {}).map(([name, schema]) => {
      const { description, ...rest } = jsonSchema(schema as z.ZodType)
      const required = place === 'path' || !(schema as z.ZodType).safeParse(undefined).success
      return { name, in: place, required, ...(description && { description }), schema: rest }
    }),
  )
}

/** JSON and a form of the same members; what is an object is JSON in the form too. */
function requestBody({ schema, required, examples }: EndpointRequest): JsonObject {
  const shared = {
    schema: jsonSchema(schema),
    examples: Object.fromEntries(
      Object.entries(examples).map(([summary, value]) => [
        summary.replaceAll(' ', '-'),
        { summary, value: value as Json },
      ]),
    ),
  }
  return {
    required,
    content: { 'application/json': shared, 'application/x-www-form-urlencoded': shared },
  }
}

function problemResponse(description: string, schema: string, example: JsonObject): JsonObject {
  return {
    description,
    content: {
      'application/problem+json': { schema: { $ref: `#/components/schemas/${schema}` }, example },
    },
  }
}

const problemExample = {
  type: 'about:blank',
  title: 'Not found',
  status: 404,
  code: 'not_found',
  request_id: '0199f1d2-7f3c-7d3e-9d43-2b6a4c1f0e55',
}

const oauthProblemExample = {
  type: 'about:blank',
  title: 'Invalid request',
  status: 400,
  detail: 'subject: expected 1 to 255 visible ASCII characters without spaces',
  code: 'invalid_request',
  request_id: '0199f1d2-7f3c-7d3e-9d43-2b6a4c1f0e55',
  error: 'invalid_request',
  error_description: 'subject: expected 1 to 255 visible ASCII characters without spaces',
}

function publicPath({ path, prefixed }: Endpoint, routePrefix: string): string {
  if (!prefixed || routePrefix === '') return path
  return path === '/' ? routePrefix : `${routePrefix}${path}`
}

function mediaTypes(content: EndpointResponse['content']): JsonObject {
  return Object.fromEntries(
    Object.entries(content ?? {}).map(([type, { schema, example }]) => [
      type,
      { schema: jsonSchema(schema), ...(example !== undefined && { example: example as Json }) },
    ]),
  )
}

function jsonSchema(schema: z.ZodType): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input' })
  return rest as JsonObject
}
