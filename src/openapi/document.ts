import { z } from 'zod'
import { type Endpoint, type EndpointResponse, endpoints, problemSchema } from './endpoints.ts'
import type { Json, JsonObject } from './json.ts'

export interface GatewayDocumentOptions {
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  readonly version: string
}

/** The gateway's own OpenAPI 3.1 document, built from the zod schemas of endpoints.ts. */
export function createGatewayDocument({ routePrefix, version }: GatewayDocumentOptions): JsonObject {
  const paths = endpoints.map((endpoint) => {
    const path = publicPath(endpoint, routePrefix)
    const responses = endpoint.responses.map(({ status, description, content }) => [
      String(status),
      { description, ...(content !== undefined && { content: mediaTypes(content) }) },
    ])
    const operation = {
      tags: ['gateway'],
      operationId: endpoint.operationId,
      summary: endpoint.summary,
      description: endpoint.description,
      security: [],
      responses: {
        ...Object.fromEntries(responses),
        default: { $ref: '#/components/responses/Problem' },
      },
    }
    return [path, { get: operation }]
  })
  return {
    openapi: '3.1.0',
    info: {
      title: 'munjigi',
      version,
      description: 'The API gateway and, live, every service behind it that publishes an OpenAPI document.',
    },
    servers: [{ url: '/', description: 'This gateway' }],
    tags: [{ name: 'gateway', description: "The gateway's own endpoints" }],
    paths: Object.fromEntries(paths),
    components: {
      schemas: { Problem: jsonSchema(problemSchema) },
      responses: {
        Problem: {
          description: 'Problem details (RFC 9457)',
          content: {
            'application/problem+json': {
              schema: { $ref: '#/components/schemas/Problem' },
              example: problemExample,
            },
          },
        },
      },
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
