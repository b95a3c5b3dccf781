import test from 'ava'
import type { Json, JsonObject } from '../../src/openapi/json.ts'
import { readDocument } from '../../src/openapi/read-document.ts'
import { mergedOf, openRoute } from '../support/merged.ts'
import { danglingReferences } from '../support/openapi-references.ts'
import { openapiSchema } from '../support/openapi-schema.ts'

const faultsOf = openapiSchema()
const reads = (document: JsonObject, location?: string) =>
  readDocument(Buffer.from(JSON.stringify({ openapi: '3.1.0', info: {}, ...document })), location)

/** The document as it is shown, valid and without references that lead nowhere. */
function shown(document: JsonObject, location?: string) {
  const reading = reads(document, location)
  if (reading.status !== 'ok') throw new Error(reading.reason)
  const merged = mergedOf([openRoute('a', '/')], [{ ...reading, name: 'a' }])
  const faults = [...faultsOf(merged), ...danglingReferences(merged)]
  if (faults.length > 0) throw new Error(faults[0])
  return merged
}

const answering = (schema: Json) => ({
  get: { responses: { 200: { description: '', content: { 'application/json': { schema } } } } },
})
/** The schema that `GET /a` answers with, where components have these schemas. */
function schemaOf(schema: Json, schemas: JsonObject = {}, location?: string) {
  const merged = shown({ paths: { '/a': answering(schema) }, components: { schemas } }, location)
  const responses = merged.paths['/a']!.get!.responses as Record<
    string,
    { content: Record<string, { schema: Json }> }
  >
  return { schema: responses[200]!.content['application/json']!.schema, schemas: merged.components.schemas! }
}

test('a reference keeps what stands beside it', (t) => {
  const beside = { $ref: '#/components/schemas/B', description: 'One of them', minLength: 2 }
  t.deepEqual(schemaOf(beside, { B: { type: 'string' } }).schema, beside)
})

test('a reference to a part of a schema stays one', (t) => {
  const schema = { $ref: '#/components/schemas/B/properties/c~1d' }
  t.deepEqual(schemaOf(schema, { B: { properties: { 'c/d': { type: 'string' } } } }).schema, schema)
})

for (const reference of ['openapi.json#/components/schemas/B', '/openapi.json#/components/schemas/B'])
  test(`${reference} is a reference to the document itself`, (t) => {
    t.deepEqual(schemaOf({ $ref: reference }, { B: true }).schema, { $ref: '#/components/schemas/B' })
  })

test('the document may refer to itself by where it was fetched', (t) => {
  const { schema } = schemaOf({ $ref: './api.json#/components/schemas/B' }, { B: true }, '/v1/api.json')
  t.deepEqual(schema, { $ref: '#/components/schemas/B' })
})

test('what stands outside the components becomes one where it is referred to, also where it refers to itself', (t) => {
  const place = '#/paths/~1b/get/responses/200/content/application~1json/schema'
  const merged = shown({
    paths: {
      '/a': answering({ $ref: place }),
      '/b': answering({ properties: { next: { $ref: place } } }),
      '/c': answering({ $ref: '#/definitions/Old' }),
    },
    definitions: { Old: { type: 'string' } },
  })
  t.deepEqual(merged.components.schemas!.Old, { type: 'string' })
  const name = 'paths._b.get.responses.200.content.application_json.schema'
  t.deepEqual(merged.components.schemas![name], {
    properties: { next: { $ref: `#/components/schemas/${name}` } },
  })
})

test('references by $id and $anchor become pointers, which hold in any document', (t) => {
  const { schema, schemas } = schemaOf(
    { allOf: [{ $ref: 'https://x.example/user' }, { $ref: 'https://x.example/user#name' }] },
    {
      User: {
        $id: 'https://x.example/user',
        properties: { name: { $ref: '#/$defs/name' }, other: { $ref: '/pet' } },
        $defs: { name: { $anchor: 'name', type: 'string' } },
      },
      Pet: { $id: 'https://x.example/pet', items: { $ref: '#' } },
    },
  )
  const name = { $ref: '#/components/schemas/User/$defs/name' }
  t.deepEqual(schema, { allOf: [{ $ref: '#/components/schemas/User' }, name] })
  t.deepEqual(schemas.User, {
    properties: { name, other: { $ref: '#/components/schemas/Pet' } },
    $defs: { name: { type: 'string' } },
  })
  t.deepEqual(schemas.Pet, { items: { $ref: '#/components/schemas/Pet' } })
})

test('a $dynamicRef that can lead to one schema only becomes a reference, another one is refused', (t) => {
  const dynamic = { $dynamicAnchor: 'node', items: { $dynamicRef: '#node' } }
  t.deepEqual(schemaOf({ $ref: '#/components/schemas/B' }, { B: dynamic }).schemas.B, {
    items: { $ref: '#/components/schemas/B' },
  })
  const reading = reads({ components: { schemas: { B: dynamic, C: { $dynamicAnchor: 'node' } } } })
  t.like(reading, {
    status: 'invalid',
    reason: 'has a $dynamicRef ("#node") that may lead to several schemas',
  })
})

test('a name that no component may have is made one', (t) => {
  const { schema, schemas } = schemaOf(
    { $ref: '#/components/schemas/List%3CUser%3E' },
    { 'List<User>': true },
  )
  t.deepEqual(schema, { $ref: '#/components/schemas/List_User_' })
  t.true('List_User_' in schemas)
})

test('what a discriminator means by the names of schemas is written out', (t) => {
  const discriminator = { propertyName: 'kind' }
  const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
  const { schema, schemas } = schemaOf(
    {
      discriminator: { ...discriminator, mapping: { c: 'Cat', gone: 'Gone' } },
      oneOf: [ref('Cat'), ref('Pet')],
    },
    { Cat: {}, Pet: { discriminator }, Dog: { allOf: [ref('Pet')] } },
  )
  t.like(schema, {
    discriminator: { mapping: { c: '#/components/schemas/Cat', Pet: '#/components/schemas/Pet' } },
  })
  t.false('gone' in (schema as { discriminator: { mapping: object } }).discriminator.mapping)
  t.deepEqual(schemas.Pet, {
    discriminator: { ...discriminator, mapping: { Dog: '#/components/schemas/Dog' } },
  })
  t.true('Dog' in schemas)
})

test('what would make the merged document invalid is left out or mended', (t) => {
  const merged = shown({
    paths: {
      '/a/{id}': {
        note: 'ours',
        get: {
          summary: 7,
          tags: 'x',
          parameters: [
            { name: 'id', in: 'path', style: 'form', allowEmptyValue: true },
            { name: 'odd', in: 'body' },
            { name: 'both', in: 'query', example: 1, examples: { one: { value: 1 } } },
          ],
          responses: { 200: {}, '2xx': {}, 0: {} },
        },
        post: { responses: {} },
      },
    },
  })
  t.deepEqual(merged.paths['/a/{id}'], {
    get: {
      tags: ['a'],
      parameters: [
        { name: 'id', in: 'path', required: true, schema: {} },
        { name: 'both', in: 'query', examples: { one: { value: 1 } }, schema: {} },
      ],
      responses: { 200: { description: '' } },
    },
    post: { tags: ['a'] },
  })
})

test('an operation that only OpenAPI 3.2 has is left out and said to be', (t) => {
  const merged = shown({ openapi: '3.2.0', paths: { '/a': { query: { responses: {} } } } })
  t.deepEqual(merged.paths['/a'] as unknown, {})
  t.like(merged['x-munjigi-services'][0], {
    reason: 'QUERY operations are left out: OpenAPI 3.1 has no place for them',
  })
})

test('requirements of a callback and ids of its operations are those of the merged document', (t) => {
  const callbacks = {
    done: {
      '{$request.body#/url}': {
        post: { operationId: 'done', security: [{ key: [] }, { gone: [] }], responses: { 200: {} } },
      },
    },
  }
  const merged = shown({
    paths: { '/a': { get: { operationId: 'done', responses: { 200: {} }, callbacks } } },
    components: { securitySchemes: { key: { type: 'apiKey', in: 'query', name: 'k' } } },
  })
  t.like(merged.paths['/a']!.get, {
    operationId: 'done',
    callbacks: {
      done: { '{$request.body#/url}': { post: { operationId: 'done_2', security: [{ key: [] }] } } },
    },
  })
  t.true('key' in merged.components.securitySchemes!)
})

for (const [reference, reason] of [
  ['#/components/schemas/Gone', /refers to "#\/components\/schemas\/Gone", which it does not have/],
  ['#/components/schemas/B/properties/gone', /which it does not have/],
  ['#gone', /which it does not have/],
  ['file:///etc/passwd', /refers to another document \("file:\/\/\/etc\/passwd"\)/],
  ['http://169.254.169.254/', /another document/],
  ['other.json#/components/schemas/B', /another document/],
  ['//evil.example/openapi.json', /another document/],
] as const) {
  test(`a reference to ${reference} is refused with the reason`, (t) => {
    const paths = { '/a': answering({ $ref: reference }) }
    const reading = reads({ paths, components: { schemas: { B: {} } } })
    t.is(reading.status, 'invalid')
    t.regex('reason' in reading ? reading.reason : '', reason)
  })
}

test('a reference to another document is refused wherever it stands', (t) => {
  for (const place of ['example', 'x-note', 'default']) {
    t.is(reads({ paths: { '/a': answering({ [place]: { $ref: 'http://x.example/' } }) } }).status, 'invalid')
  }
})

for (const address of ['//x.example/a', '/\\x.example/a', ' http://x.example/a', 'ht\ntp://x.example/a']) {
  test(`also where an $id stands somewhere, and the address is ${JSON.stringify(address)}`, (t) => {
    const schemas = { A: { $id: 'urn:a' } }
    const paths = { '/a': answering({ 'x-note': { $ref: address } }) }
    t.is(reads({ paths, components: { schemas } }).status, 'invalid')
  })
}

test('what is no JSON in UTF-8 is refused with the reason', (t) => {
  for (const bytes of [Buffer.from('<html>'), Buffer.from([0x22, 0xff, 0x22])]) {
    t.deepEqual(readDocument(bytes), { status: 'invalid', reason: 'is not valid JSON' })
  }
})
