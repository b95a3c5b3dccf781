import test from 'ava'
import type { JsonObject } from '../../src/openapi/json.ts'
import type { PublishedRoute } from '../../src/openapi/public-paths.ts'
import {
  type Merged,
  mergedOf,
  gatewayDocument as own,
  openRoute as route,
  serviceOf,
} from '../support/merged.ts'

const answer = { responses: { 200: { description: 'Good' } } }

/** Merges one document of each service and gives the merged one. */
const merge = (routes: readonly PublishedRoute[], documents: Readonly<Record<string, JsonObject>>): Merged =>
  mergedOf(
    routes,
    Object.entries(documents).map(([name, document]) => serviceOf(name, document)),
  )

const ownPaths = new Set(Object.keys(own.paths as JsonObject))
const publicPaths = ({ paths }: Merged) => Object.keys(paths).filter((path) => !ownPaths.has(path))

test("a service's paths are shown as the public sees them", (t) => {
  const merged = merge([route('auth', '/api/users', '/api'), route('auth', '/api/user', '/api')], {
    auth: { paths: { '/users': { get: answer }, '/user/login': { post: answer } } },
  })
  t.deepEqual(publicPaths(merged), ['/api/users', '/api/user/login'])
})

test('paths that no route leads to are left out, also those that only begin alike', (t) => {
  const merged = merge([route('auth', '/api/users', '/api')], {
    auth: {
      paths: { '/users/{id}': { get: answer }, '/users2': { get: answer }, '/health': { get: answer } },
    },
  })
  t.deepEqual(publicPaths(merged), ['/api/users/{id}'])
})

test('a path that several routes lead to is shown under each, with operation ids of their own', (t) => {
  const merged = merge([route('shop', '/api/shop', '/api/shop'), route('shop', '/v1', '/v1')], {
    shop: { paths: { '/items': { get: { ...answer, operationId: 'list' } } } },
  })
  t.deepEqual(publicPaths(merged), ['/api/shop/items', '/v1/items'])
  t.is(merged.paths['/api/shop/items']!.get!.operationId, 'list')
  t.is(merged.paths['/v1/items']!.get!.operationId, 'list_2')
})

test('a path that a longer prefix of another service takes is not shown', (t) => {
  const merged = merge([route('a', '/api', '/api'), route('b', '/api/b', '/api')], {
    a: { paths: { '/b/x': { get: answer }, '/c': { get: answer } } },
    b: { paths: { '/b/y': { get: answer } } },
  })
  t.deepEqual(publicPaths(merged), ['/api/c', '/api/b/y'])
})

test("a path that the gateway answers itself is not a service's", (t) => {
  const merged = merge([route('site', '/')], {
    site: { paths: { '/docs': { get: { ...answer, summary: 'theirs' } }, '/about': { get: answer } } },
  })
  t.deepEqual(publicPaths(merged), ['/about'])
  t.is(merged.paths['/docs']!.get!.summary, 'Swagger UI')
})

test("the service's root is the bare prefix", (t) => {
  const merged = merge([route('shop', '/api/shop', '/api/shop')], {
    shop: { paths: { '/': { get: answer } } },
  })
  t.deepEqual(publicPaths(merged), ['/api/shop'])
})

for (const [url, path] of [
  ['/v1', '/api/shop/v1/items'],
  ['https://internal.example:8443/v1/', '/api/shop/v1/items'],
  ['{scheme}://x/{base}', '/api/shop/v2/items'],
  ['http://[', '/api/shop/items'],
] as const) {
  test(`paths are relative to the document's server ${url}, which itself is not shown`, (t) => {
    const variables = { scheme: { default: 'https' }, base: { default: 'v2' } }
    const item = { servers: [{ url }], get: { ...answer, servers: [{ url }] } }
    const merged = merge([route('shop', '/api/shop', '/api/shop')], {
      shop: { servers: [{ url, variables }], paths: { '/items': item } },
    })
    t.deepEqual(publicPaths(merged), [path])
    t.deepEqual(Object.keys(merged.paths[path]!), ['get'])
    t.false('servers' in merged.paths[path]!.get!)
    t.deepEqual((merged as unknown as JsonObject).servers, own.servers)
  })
}

test('operations carry the name of their service as their only tag, which is described', (t) => {
  const merged = merge([route('shop', '/shop')], {
    shop: {
      info: { title: 'Shop', description: 'Sells' },
      tags: [{ name: 'items' }],
      paths: { '/shop': { get: { ...answer, tags: ['items'] } } },
    },
  })
  t.deepEqual(merged.paths['/shop']!.get!.tags, ['shop'])
  t.deepEqual(merged.tags.slice(1), [{ name: 'shop', description: 'Shop: Sells' }])
})

test('components of one name in two services stay two', (t) => {
  const service = (type: string) => ({
    paths: { [`/${type}`]: { get: { responses: { 200: { $ref: '#/components/responses/Item' } } } } },
    components: {
      responses: {
        Item: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Item' } } } },
      },
      schemas: { Item: { type } },
    },
  })
  const merged = merge([route('a', '/string'), route('b', '/number')], {
    a: service('string'),
    b: service('number'),
  })
  t.like(merged.components.schemas, { 'a.Item': { type: 'string' }, 'b.Item': { type: 'number' } })
  t.like(merged.paths['/string'], { get: { responses: { 200: { $ref: '#/components/responses/a.Item' } } } })
  t.like(merged.components.responses, {
    'b.Item': { content: { 'application/json': { schema: { $ref: '#/components/schemas/b.Item' } } } },
  })
})

test('components that only unpublished paths use are not shown', (t) => {
  const ref = (name: string) => ({ responses: { 200: { $ref: `#/components/responses/${name}` } } })
  const merged = merge([route('a', '/open')], {
    a: {
      paths: { '/open': { get: ref('Open') }, '/internal': { get: ref('Secret') } },
      components: { responses: { Open: { description: 'o' }, Secret: { description: 's' } } },
    },
  })
  t.deepEqual(Object.keys(merged.components.responses!), ['Problem', 'Open'])
})

test('references within properties of any name are renamed, those within examples and defaults are data', (t) => {
  const ref = { $ref: '#/components/schemas/B' }
  const renamed = { $ref: '#/components/schemas/a.B' }
  const other = { paths: { '/b': { get: answer, parameters: [schemaParameter(ref)] } } }
  const schema = {
    properties: { example: ref, default: ref, properties: ref, $ref: ref, items: { items: ref } },
    default: ref,
    example: ref,
    examples: [ref],
    enum: [ref],
    'x-note': ref,
  }
  const content = { 'application/json': { schema, examples: { one: { value: ref }, two: ref } } }
  const merged = merge([route('a', '/a'), route('b', '/b')], {
    a: {
      paths: { '/a': { get: { responses: { default: { description: '', content } } } } },
      components: { schemas: { B: { type: 'string' } } },
    },
    b: { ...other, components: { schemas: { B: { type: 'number' } } } },
  })
  t.deepEqual(merged.paths['/a']!.get!.responses, {
    default: {
      description: '',
      content: {
        'application/json': {
          schema: {
            ...schema,
            properties: {
              example: renamed,
              default: renamed,
              properties: renamed,
              $ref: renamed,
              items: { items: renamed },
            },
          },
          examples: { one: { value: ref }, two: renamed },
        },
      },
    },
  })
})

const schemaParameter = (schema: JsonObject) => ({ name: 'q', in: 'query', schema })

test('references with escapes, into paths and of discriminators lead to where they led', (t) => {
  const b = {
    paths: {
      '/b': { get: { ...answer, parameters: [schemaParameter({ $ref: '#/components/schemas/A.b' })] } },
    },
    components: { schemas: { 'A.b': { type: 'null' } } },
  }
  const merged = merge([route('a', '/api/a', '/api'), route('b', '/b')], {
    b,
    a: {
      paths: {
        '/a/{id}': { get: answer },
        '/a': {
          get: {
            responses: {
              200: { $ref: '#/paths/~1a~1%7Bid%7D/get/responses/200' },
              201: { content: { 'x/y': { schema: { $ref: '#/components/schemas/A.b/properties/c' } } } },
            },
          },
          post: {
            requestBody: {
              content: {
                'x/y': {
                  schema: {
                    discriminator: {
                      propertyName: 'kind',
                      mapping: { one: 'A.b', two: '#/components/schemas/A.b' },
                    },
                  },
                },
              },
            },
          },
        },
      },
      components: { schemas: { 'A.b': { properties: { c: {} } } } },
    },
  })
  const { get, post } = merged.paths['/api/a']!
  t.deepEqual(get!.responses, {
    200: { $ref: '#/components/responses/paths._a_id_.get.responses.200' },
    201: {
      description: '',
      content: { 'x/y': { schema: { $ref: '#/components/schemas/a.A.b/properties/c' } } },
    },
  })
  t.like(post, {
    requestBody: {
      content: {
        'x/y': {
          schema: {
            discriminator: {
              mapping: { one: '#/components/schemas/a.A.b', two: '#/components/schemas/a.A.b' },
            },
          },
        },
      },
    },
  })
  t.true('a.A.b' in merged.components.schemas!)
  t.deepEqual(merged.components.responses!['paths._a_id_.get.responses.200'], { description: 'Good' })
})

test('security of the whole document is written out at each operation, under its scheme', (t) => {
  const key = { type: 'apiKey', in: 'header', name: 'X-Key' }
  const merged = merge([route('a', '/a'), route('b', '/b')], {
    a: {
      security: [{ key: [] }],
      components: { securitySchemes: { key, unused: key } },
      paths: { '/a': { get: answer, post: { ...answer, security: [] } } },
    },
    b: { paths: { '/b': { get: answer } } },
  })
  t.deepEqual(merged.paths['/a']!.get!.security, [{ key: [] }])
  t.deepEqual(merged.paths['/a']!.post!.security, [])
  t.false('security' in merged.paths['/b']!.get!)
  t.deepEqual(merged.components.securitySchemes!.key, key)
  t.false('unused' in merged.components.securitySchemes!)
})

test('a path item that is defined once is written out under every path that refers to it', (t) => {
  const item = { $ref: '#/components/pathItems/Things' }
  const merged = merge([route('a', '/a'), route('a', '/b')], {
    a: {
      paths: { '/a': item, '/b': { ...item, summary: 'B' } },
      components: { pathItems: { Things: { get: answer } } },
    },
  })
  t.deepEqual(merged.paths['/a'] as unknown, { get: { ...answer, tags: ['a'] } })
  t.deepEqual(merged.paths['/b'] as unknown, { get: { ...answer, tags: ['a'] }, summary: 'B' })
  t.false('pathItems' in merged.components)
})

test('a member named __proto__ is a name like any other', (t) => {
  const document = JSON.parse(
    `{ "openapi": "3.1.0", "paths": { "/a": { "get": { "responses": { "200": { "content": {
      "x/y": { "schema": { "properties": { "__proto__": { "type": "string" } } } } } } } } } } }`,
  ) as JsonObject
  const merged = merge([route('a', '/a')], { a: document })
  t.true(JSON.stringify(merged).includes('"__proto__":{"type":"string"}'))
})

test('every service is listed with how its document is, and a bad one costs no other', (t) => {
  const routes = ['good', 'old', 'gone', 'new', 'elsewhere', 'broken', 'swagger'].map((name) =>
    route(name, `/${name}`),
  )
  const gone = serviceOf('gone', { paths: { '/gone': { get: answer } } }, 60_000)
  const swagger = { swagger: '2.0', info: {}, paths: { '/swagger': { get: answer } } }
  const merged = mergedOf(routes, [
    serviceOf('swagger', swagger),
    serviceOf('good', { paths: { '/good': { get: answer } } }),
    serviceOf('old', { swagger: '1.2' }),
    { ...gone, status: 'stale', reason: 'was answered with status 500' },
    { name: 'new', status: 'waiting' },
    serviceOf('elsewhere', { paths: { '/other': { get: answer } } }),
    serviceOf('broken', { paths: [] }),
  ])
  t.deepEqual(publicPaths(merged), ['/gone', '/good', '/swagger'])
  t.deepEqual(
    merged.tags.map(({ name }) => name),
    ['gateway', 'gone', 'good', 'swagger'],
  )
  const fetched_at = '1970-01-01T00:00:00.000Z'
  t.deepEqual(merged['x-munjigi-services'], [
    { name: 'broken', status: 'invalid', reason: 'has a member "paths" that is not an object' },
    {
      ...{ name: 'elsewhere', status: 'ok' },
      reason: 'none of its paths is reachable through the routes of the service',
      ...{ paths: 0, fetched_at },
    },
    {
      ...{ name: 'gone', status: 'stale', reason: 'was answered with status 500', paths: 1 },
      fetched_at: '1970-01-01T00:01:00.000Z',
    },
    { name: 'good', status: 'ok', paths: 1, fetched_at },
    { name: 'new', status: 'waiting' },
    {
      ...{ name: 'old', status: 'unsupported' },
      reason: 'is Swagger "1.2"; Swagger 2.0 and OpenAPI 3 documents are merged',
    },
    { name: 'swagger', status: 'ok', converted_from: 'Swagger 2.0', paths: 1, fetched_at },
  ])
})
