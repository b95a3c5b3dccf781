import test from 'ava'
import type { Json, JsonObject } from '../../src/openapi/json.ts'
import { readDocument } from '../../src/openapi/read-document.ts'
import { mergedOf, openRoute } from '../support/merged.ts'
import { danglingReferences } from '../support/openapi-references.ts'
import { openapiSchema } from '../support/openapi-schema.ts'

const faultsOf = openapiSchema()
type Operation = Record<string, Json>

/** The document as it is shown, valid and without references that lead nowhere. */
function shown(document: JsonObject, prefix = '/') {
  const reading = readDocument(Buffer.from(JSON.stringify({ info: {}, ...document })))
  if (reading.status !== 'ok') throw new Error(reading.reason)
  const merged = mergedOf([openRoute('a', prefix)], [{ ...reading, name: 'a' }])
  const faults = [...faultsOf(merged), ...danglingReferences(merged)]
  if (faults.length > 0) throw new Error(faults[0])
  return merged
}

const good = { responses: { 200: { description: 'Good' } } }

/** `POST /a` of a Swagger 2.0 document. */
function swagger(operation: JsonObject, document: JsonObject = {}, item: JsonObject = {}): Operation {
  const paths = { '/a': { post: { ...good, ...operation }, ...item } }
  return shown({ swagger: '2.0', ...document, paths }).paths['/a']!.post!
}

const contentOf = (operation: Operation) => (operation.requestBody as JsonObject).content as JsonObject
const body = { name: 'body', in: 'body', schema: { $ref: '#/definitions/User' } }
const definitions = { User: { type: 'object' } }
const json = { 'application/json': { schema: { $ref: '#/components/schemas/User' } } }

test('Swagger 2.0: definitions, bodies, replies and security become what they are in OpenAPI 3.1', (t) => {
  const merged = shown(
    {
      ...{ swagger: '2.0', host: 'x.example', basePath: '/v1', schemes: ['https'], definitions },
      securityDefinitions: {
        login: {
          type: 'oauth2',
          flow: 'accessCode',
          authorizationUrl: '/a',
          tokenUrl: '/t',
          scopes: { r: 'Read' },
        },
      },
      security: [{ login: ['r'] }],
      paths: {
        '/a': {
          put: {
            parameters: [
              body,
              {
                name: 'ids',
                in: 'query',
                type: 'array',
                items: { type: 'integer' },
                collectionFormat: 'multi',
              },
            ],
            responses: { 200: { description: '', schema: { $ref: '#/definitions/User' } } },
          },
        },
      },
    },
    '/v1',
  )
  const operation = merged.paths['/v1/a']!.put!
  t.deepEqual(contentOf(operation), json)
  t.deepEqual(operation.parameters, [
    {
      ...{ schema: { type: 'array', items: { type: 'integer' } }, style: 'form', explode: true },
      ...{ name: 'ids', in: 'query' },
    },
  ])
  t.like(operation.responses, { 200: { content: json } })
  t.deepEqual(operation.security, [{ login: ['r'] }])
  t.like(merged.components.securitySchemes!.login, {
    flows: { authorizationCode: { authorizationUrl: '/a', tokenUrl: '/t', scopes: { r: 'Read' } } },
  })
})

test('Swagger 2.0: a shared body parameter is the body', (t) => {
  const operation = swagger(
    { parameters: [{ $ref: '#/parameters/B' }] },
    { definitions, parameters: { B: body } },
  )
  t.deepEqual(contentOf(operation), json)
  t.false('parameters' in operation)
})

test("Swagger 2.0: a path's body is that of each of its operations, wherever it is written", (t) => {
  t.deepEqual(contentOf(swagger({}, { definitions }, { parameters: [body] })), json)
})

test('Swagger 2.0: an empty list of media types does not cost the body', (t) => {
  t.deepEqual(contentOf(swagger({ consumes: [], parameters: [body] }, { definitions, consumes: [] })), json)
})

test('Swagger 2.0: forms are sent as forms, with a file as multipart', (t) => {
  const field = { name: 'f', in: 'formData', type: 'string' }
  const file = { name: 'f', in: 'formData', type: 'file' }
  t.deepEqual(Object.keys(contentOf(swagger({ parameters: [field] }))), ['application/x-www-form-urlencoded'])
  const upload = contentOf(swagger({ parameters: [file] }, { consumes: ['application/json'] }))
  t.like(upload, {
    'multipart/form-data': {
      schema: { properties: { f: { contentMediaType: 'application/octet-stream' } } },
    },
  })
})

test('Swagger 2.0: parameters without a place and extensions that are null cost no more than themselves', (t) => {
  const operation = swagger({ parameters: [{ name: 'x' }, body] }, { definitions }, { 'x-note': null })
  t.deepEqual(contentOf(operation), json)
})

test('Swagger 2.0: the base path holds where the host is a placeholder', (t) => {
  const merged = shown({ swagger: '2.0', host: '{{host}}', basePath: '/v1', paths: { '/a': { get: good } } })
  t.true('/v1/a' in merged.paths)
})

test('Swagger 2.0: a header of a reply and a discriminator are converted', (t) => {
  const merged = shown({
    swagger: '2.0',
    definitions: { Pet: { discriminator: 'kind', properties: { kind: { type: 'string' } } } },
    paths: {
      '/a': {
        get: {
          responses: {
            200: {
              description: '',
              schema: { $ref: '#/definitions/Pet' },
              headers: { 'X-N': { type: 'integer' } },
            },
          },
        },
      },
    },
  })
  t.like(merged.components.schemas!.Pet, { discriminator: { propertyName: 'kind' }, required: ['kind'] })
  t.like(merged.paths['/a']!.get!.responses, { 200: { headers: { 'X-N': { schema: { type: 'integer' } } } } })
})

/** The schema `S` of an OpenAPI 3.0 document. */
function schema30(schema: JsonObject): JsonObject {
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/S' } } }
  const merged = shown({
    openapi: '3.0.3',
    paths: { '/a': { get: { responses: { 200: { description: '', content } } } } },
    components: { schemas: { S: schema, B: { type: 'string' } } },
  })
  return merged.components.schemas!.S!
}

test('OpenAPI 3.0: nullable becomes a type, wherever it stands', (t) => {
  t.deepEqual(schema30({ type: 'string', nullable: true }), { type: ['string', 'null'] })
  t.deepEqual(schema30({ type: 'string', nullable: false }), { type: 'string' })
  t.deepEqual(schema30({ $ref: '#/components/schemas/B', nullable: true }), {
    anyOf: [{ $ref: '#/components/schemas/B' }, { type: 'null' }],
  })
  t.deepEqual(schema30({ nullable: true, oneOf: [{ $ref: '#/components/schemas/B' }] }), {
    oneOf: [{ $ref: '#/components/schemas/B' }, { type: 'null' }],
  })
})

test('OpenAPI 3.0: a list of types that is nullable stays a list of types', (t) => {
  t.deepEqual(schema30({ type: ['string', 'null'] as unknown as Json, nullable: true }), {
    type: ['string', 'null'],
  })
})

test('OpenAPI 3.0: exclusive bounds become numbers, an example a list of them', (t) => {
  t.deepEqual(schema30({ type: 'number', minimum: 1, exclusiveMinimum: true, example: 3 }), {
    ...{ type: 'number', exclusiveMinimum: 1, examples: [3] },
  })
})

test('OpenAPI 3.0: beside a reference only words count', (t) => {
  t.deepEqual(
    schema30({ $ref: '#/components/schemas/B', description: 'One', minLength: 3, type: 'number' }),
    {
      ...{ $ref: '#/components/schemas/B', description: 'One' },
    },
  )
})

test('OpenAPI 3.0: a reference into what the conversion moves leads to what was there', (t) => {
  const document = {
    openapi: '3.0.3',
    paths: {
      '/a': {
        get: {
          responses: {
            200: {
              description: '',
              content: { 'application/json': { schema: { $ref: '#/components/schemas/S/allOf/0' } } },
            },
          },
        },
      },
    },
    components: { schemas: { S: { nullable: true, allOf: [{ type: 'string', maxLength: 3 }] } } },
  }
  const merged = shown(document)
  t.like(merged.paths['/a']!.get!.responses, {
    200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/S.allOf.0' } } } },
  })
  t.deepEqual(merged.components.schemas!['S.allOf.0'], { type: 'string', maxLength: 3 })
})

test('Swagger 2.0: a list in a form is written with commas unless it says otherwise', (t) => {
  const list = { in: 'formData', type: 'array', items: { type: 'string' } }
  const operation = swagger({
    parameters: [
      { ...list, name: 'plain' },
      { ...list, name: 'multi', collectionFormat: 'multi' },
    ],
  })
  t.like(contentOf(operation), {
    'application/x-www-form-urlencoded': {
      encoding: {
        plain: { style: 'form', explode: false },
        multi: { style: 'form', explode: true },
      },
    },
  })
})
