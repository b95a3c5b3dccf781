import { z } from 'zod'

/** One of the gateway's own endpoints, as its API document shows it. */
export interface Endpoint {
  readonly method: 'get' | 'post' | 'delete'
  readonly path: string
  /** Whether ROUTE_PREFIX is put in front. */
  readonly prefixed: boolean
  readonly operationId: string
  readonly summary: string
  readonly description: string
  /** Where it is listed in Swagger UI. */
  readonly tag: 'gateway' | 'tokens' | 'oauth'
  readonly parameters?: EndpointParameters
  readonly request?: EndpointRequest
  /** Any one of them is enough; `nobody`: it may be left out. */
  readonly security: readonly ('client' | 'bearer' | 'nobody')[]
  readonly responses: readonly EndpointResponse[]
}

/** What stands in `{…}` of the path, and what may come behind it. */
export interface EndpointParameters {
  readonly path?: z.ZodObject
  readonly query?: z.ZodObject
}

/** A body, as JSON or as a form. */
export interface EndpointRequest {
  readonly schema: z.ZodObject
  readonly required: boolean
  /** By what they show. */
  readonly examples: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export interface EndpointResponse {
  readonly status: number
  readonly description: string
  readonly content?: Readonly<Record<string, { readonly schema: z.ZodType; readonly example?: unknown }>>
}

/** RFC 9457, with the members every error of the gateway has. */
export const problemSchema = z
  .object({
    type: z.string().meta({ format: 'uri-reference' }),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().optional(),
    code: z.string().describe('Stable: programs may rely on it'),
    request_id: z.string().describe('For the person who looks it up in the log'),
    login_url: z.url().optional().describe('Where the user has to go first, of errors that a login mends'),
  })
  .describe('Problem details (RFC 9457)')

/** The same of the endpoints that OAuth clients ask. */
export const oauthProblemSchema = problemSchema
  .extend({
    error: z.string().describe('RFC 6749 §5.2: invalid_request, invalid_client, invalid_grant …'),
    error_description: z.string(),
  })
  .describe('Problem details (RFC 9457), readable as an OAuth error')

/** The welcome of `GET /` for programs. */
const welcomeSchema = z.object({
  message: z.string(),
  docs: z.url(),
  openapi: z.url(),
  version: z.string(),
})
export type Welcome = z.output<typeof welcomeSchema>

const openapiServicesSchema = z.object({
  services: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['ok', 'stale', 'unavailable', 'unsupported', 'invalid', 'none', 'waiting']),
      reason: z.string().optional().describe('Why it is not ok'),
      converted_from: z.string().optional().describe('What it was converted from, e.g. Swagger 2.0'),
      url: z.string().optional().describe('Where its document is'),
      bytes: z.int().optional(),
      fetched_at: z.iso.datetime().optional(),
      age_seconds: z.int().optional(),
    }),
  ),
})

const livezSchema = z.object({ status: z.literal('ok') })
const readyzSchema = z.object({
  status: z.enum(['ready', 'starting', 'stopping']),
  discovery: z
    .record(z.string(), z.enum(['starting', 'live', 'failing']))
    .describe('How each discovery source is; a failing one serves the last that it knew'),
  database: z
    .enum(['starting', 'live', 'failing'])
    .optional()
    .describe('Where there is one; while it fails, what needs none of it goes on'),
  signing: z
    .enum(['starting', 'ready', 'no key'])
    .optional()
    .describe(
      'Whether tokens can be signed, where there is a database. `no key`: the signing key cannot be opened with ' +
        'ENCRYPTION_KEYS; the log names the way out',
    ),
})

const html = { 'text/html': { schema: z.string() } }

export const endpoints: readonly Endpoint[] = [
  {
    method: 'get',
    tag: 'gateway',
    security: [],
    path: '/',
    prefixed: true,
    operationId: 'welcome',
    summary: 'Welcome',
    description: 'Says where to look next: a page for browsers, JSON for everybody else.',
    responses: [
      {
        status: 200,
        description: 'The welcome',
        content: {
          'application/json': {
            schema: welcomeSchema,
            example: {
              message: 'Welcome to munjigi',
              docs: 'http://localhost:8080/docs',
              openapi: 'http://localhost:8080/openapi.json',
              version: '0.1.0',
            },
          },
          ...html,
        },
      },
    ],
  },
  {
    method: 'get',
    tag: 'gateway',
    security: [],
    path: '/docs',
    prefixed: true,
    operationId: 'docs',
    summary: 'Swagger UI',
    description: 'This document as a page, where every operation can be tried out.',
    responses: [{ status: 200, description: 'The page', content: html }],
  },
  {
    method: 'get',
    tag: 'gateway',
    security: [],
    path: '/openapi.json',
    prefixed: true,
    operationId: 'openapi',
    summary: 'This document',
    description:
      "The gateway's own API and that of every service that publishes an OpenAPI 3 document. " +
      '`x-munjigi-services` tells of each service whether it is in, and why not.',
    responses: [
      {
        status: 200,
        description: 'The document (OpenAPI 3.1)',
        content: { 'application/json': { schema: z.looseObject({ openapi: z.string() }) } },
      },
      { status: 304, description: 'Unchanged since the ETag that was sent as If-None-Match' },
    ],
  },
  {
    method: 'get',
    tag: 'gateway',
    security: [],
    path: '/openapi',
    prefixed: true,
    operationId: 'openapiServices',
    summary: 'Which service has a document',
    description: 'Of each service whether its API document is in the merged one, why not, and how old it is.',
    responses: [
      {
        status: 200,
        description: 'Every service that has a route',
        content: { 'application/json': { schema: openapiServicesSchema } },
      },
    ],
  },
  {
    method: 'get',
    tag: 'gateway',
    security: [],
    path: '/openapi/{service}.json',
    prefixed: true,
    operationId: 'openapiOfService',
    summary: "One service's document",
    description: 'As the public sees it: its paths, names and what a caller needs as in the merged document.',
    parameters: { path: z.object({ service: z.string().describe('The name of a service') }) },
    responses: [
      {
        status: 200,
        description: 'The document (OpenAPI 3.1)',
        content: { 'application/json': { schema: z.looseObject({ openapi: z.string() }) } },
      },
      { status: 304, description: 'Unchanged since the ETag that was sent as If-None-Match' },
    ],
  },
  {
    method: 'get',
    tag: 'gateway',
    security: [],
    path: '/livez',
    prefixed: false,
    operationId: 'livez',
    summary: 'Liveness',
    description: 'Answers as long as the process does. A failure is a reason to restart it.',
    responses: [
      {
        status: 200,
        description: 'Alive',
        content: { 'application/json': { schema: livezSchema, example: { status: 'ok' } } },
      },
    ],
  },
  {
    method: 'get',
    tag: 'gateway',
    security: [],
    path: '/readyz',
    prefixed: false,
    operationId: 'readyz',
    summary: 'Readiness',
    description:
      'Fails before the address book has been read for the first time, before tokens can be signed and judged, ' +
      'and first on a shutdown.',
    responses: [
      {
        status: 200,
        description: 'Ready for traffic',
        content: {
          'application/json': {
            schema: readyzSchema,
            example: { status: 'ready', discovery: { static: 'live' }, database: 'live', signing: 'ready' },
          },
        },
      },
      {
        status: 503,
        description: 'Not now',
        content: {
          'application/json': {
            schema: readyzSchema,
            example: {
              status: 'starting',
              discovery: { static: 'live' },
              database: 'live',
              signing: 'no key',
            },
          },
        },
      },
    ],
  },
]
