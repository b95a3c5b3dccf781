import test from 'ava'
import type { JsonObject } from '../../src/openapi/json.ts'
import { gatewayDocument, type Merged, mergedOf, openRoute, serviceOf } from '../support/merged.ts'
import { danglingReferences } from '../support/openapi-references.ts'

/** A service with one operation, at its name, that answers with the schema `Item`. */
const service = (name: string, schemas: JsonObject, more: JsonObject = {}) => ({
  paths: {
    [`/${name}`]: {
      get: {
        operationId: `get_${name}`,
        responses: {
          200: {
            description: '',
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Item' } } },
          },
        },
        ...more,
      },
    },
  },
  components: { schemas },
})

function merge(documents: Readonly<Record<string, JsonObject>>): Merged {
  const names = Object.keys(documents)
  const merged = mergedOf(
    names.map((name) => openRoute(name, `/${name}`)),
    names.map((name) => serviceOf(name, documents[name]!)),
  )
  return merged
}

const schemasOf = ({ components }: Merged) =>
  Object.keys(components.schemas!).filter((name) => name !== 'Problem')

const string = { Item: { type: 'string' } }
const number = { Item: { type: 'number' } }

test('a schema that only one service has keeps its name', (t) => {
  t.deepEqual(schemasOf(merge({ a: service('a', string) })), ['Item'])
})

test('a schema that two services have alike, but for the order of members, stands once', (t) => {
  const one = { Item: { type: 'object', description: 'An item' } }
  const other = { Item: { description: 'An item', type: 'object' } }
  const merged = merge({ a: service('a', one), b: service('b', other) })
  t.deepEqual(schemasOf(merged), ['Item'])
  t.deepEqual(danglingReferences(merged), [])
})

test('schemas that differ are told apart by the names of their services, all of them', (t) => {
  const merged = merge({ a: service('a', string), b: service('b', number), c: service('c', string) })
  t.deepEqual(schemasOf(merged), ['a.Item', 'b.Item', 'c.Item'])
  t.deepEqual(danglingReferences(merged), [])
})

test('schemas that are alike, but refer to what differs, differ', (t) => {
  const through = (type: string) => ({
    Item: { properties: { part: { $ref: '#/components/schemas/Part' } } },
    Part: { items: { $ref: '#/components/schemas/Atom' } },
    Atom: { type },
    Same: { type: 'null' },
  })
  const merged = merge({ a: service('a', through('string')), b: service('b', through('number')) })
  t.deepEqual(schemasOf(merged).sort(), ['a.Atom', 'a.Item', 'a.Part', 'b.Atom', 'b.Item', 'b.Part'])
  t.like(merged.components.schemas!['a.Part'], { items: { $ref: '#/components/schemas/a.Atom' } })
  t.deepEqual(danglingReferences(merged), [])
})

test('schemas that refer to themselves and are alike stand once', (t) => {
  const tree = { Item: { properties: { next: { $ref: '#/components/schemas/Item' } } } }
  t.deepEqual(schemasOf(merge({ a: service('a', tree), b: service('b', tree) })), ['Item'])
})

test('what no public path uses clashes with nothing', (t) => {
  const b = { ...service('b', {}), paths: { '/b': { get: { responses: { 200: { description: '' } } } } } }
  const merged = merge({ a: service('a', string), b: { ...b, components: { schemas: number } } })
  t.deepEqual(schemasOf(merged), ['Item'])
})

test("the gateway's own schema keeps its name, a service's other one gets its service's", (t) => {
  const document = service('a', {
    Item: { $ref: '#/components/schemas/Problem' },
    Problem: { type: 'string' },
  })
  const merged = merge({ a: document })
  t.deepEqual(schemasOf(merged), ['Item', 'a.Problem'])
  t.deepEqual(merged.components.schemas!.Item, { $ref: '#/components/schemas/a.Problem' })
  t.like(merged.components.schemas!.Problem, { type: 'object' })
})

test("a schema that is what the gateway's is stands once", (t) => {
  const { Problem } = (gatewayDocument.components as { schemas: JsonObject }).schemas
  const merged = merge({
    a: service('a', { Item: { $ref: '#/components/schemas/Problem' }, Problem: Problem! }),
  })
  t.deepEqual(schemasOf(merged), ['Item'])
})

test('a name that is made does not take one that is there', (t) => {
  const taken = { Item: { $ref: '#/components/schemas/a.Item' }, 'a.Item': { type: 'null' } }
  const merged = merge({ a: service('a', string), b: service('b', taken) })
  t.deepEqual(schemasOf(merged).sort(), ['a.Item', 'a.Item_2', 'b.Item'])
  t.deepEqual(merged.components.schemas!['a.Item'], { type: 'null' })
  t.deepEqual(merged.components.schemas!['a.Item_2'], { type: 'string' })
  t.deepEqual(danglingReferences(merged), [])
})

test('names do not depend on the order in which services are there', (t) => {
  const documents = { a: service('a', string), b: service('b', number), c: service('c', { Item: true }) }
  const turned = Object.fromEntries(Object.entries(documents).reverse())
  t.deepEqual(merge(turned), merge(documents))
})

test('security schemes that differ are told apart, alike ones are one', (t) => {
  const key = (name: string) => ({ type: 'apiKey', in: 'header', name })
  const guarded = (name: string, header: string) => {
    const document = service(
      name,
      {},
      { security: [{ key: [] }, { other: [] }], responses: { 200: { description: '' } } },
    )
    return { ...document, components: { securitySchemes: { key: key(header), other: key('X-Other') } } }
  }
  const merged = merge({ a: guarded('a', 'X-A'), b: guarded('b', 'X-B') })
  t.deepEqual(merged.paths['/a']!.get!.security, [{ 'a.key': [] }, { other: [] }])
  t.deepEqual(merged.paths['/b']!.get!.security, [{ 'b.key': [] }, { other: [] }])
  t.deepEqual(Object.keys(merged.components.securitySchemes!), ['bearer', 'a.key', 'other', 'b.key'])
})

test('operation ids keep to themselves, unless two services or the gateway have the same', (t) => {
  const merged = merge({
    a: service('a', string, { operationId: 'list' }),
    b: service('b', string, { operationId: 'list' }),
    c: service('c', string, { operationId: 'only' }),
    d: service('d', string, { operationId: 'welcome' }),
  })
  const own = Object.values(gatewayDocument.paths as Record<string, { get?: { operationId?: string } }>)
  t.true(
    own.some(({ get }) => get?.operationId === 'welcome'),
    'the gateway has it too',
  )
  const ids = ['a', 'b', 'c', 'd'].map((name) => merged.paths[`/${name}`]!.get!.operationId)
  t.deepEqual(ids, ['a.list', 'b.list', 'only', 'd.welcome'])
})

test('a link leads to the operation that it led to, by its id or its path', (t) => {
  const link = (name: string) => ({
    ...service(name, string, {
      operationId: 'list',
      responses: {
        200: {
          description: '',
          links: { again: { operationId: 'list' }, there: { operationRef: `#/paths/~1${name}/get` } },
        },
      },
    }),
  })
  const names = ['a', 'b']
  const merged = mergedOf(
    names.map((name) => openRoute(name, `/api/${name}`, '/api')),
    names.map((name) => serviceOf(name, link(name))),
  )
  t.like(merged.paths['/api/a']!.get!.responses, {
    200: {
      links: { again: { operationId: 'a.list' }, there: { operationRef: '#/paths/~1api~1a/get' } },
    },
  })
})

/** Where the link of a service's only operation leads in the merged document. */
const linkOf = (merged: Merged, path: string) =>
  (merged.paths[path]!.get!.responses as { 200: { links: { next: JsonObject } } })[200].links.next

/** A service with one operation at a path of its own, which a link leads on from. */
const linking = (path: string, operationId: string, next: JsonObject, more: JsonObject = {}) => ({
  paths: {
    [path]: { get: { operationId, responses: { 200: { description: '', links: { next } } } } },
    ...more,
  },
})

test('an id that is made is not one that another has, so that links lead where they led', (t) => {
  const merged = merge({
    a: linking('/a', 'list', { operationId: 'list' }),
    b: linking('/b', 'list', { operationId: 'list' }),
    c: linking('/c', 'a.list', { operationId: 'a.list' }),
  })
  for (const path of ['/a', '/b', '/c']) {
    t.is(linkOf(merged, path).operationId, merged.paths[path]!.get!.operationId)
  }
  const ids = ['/a', '/b', '/c'].map((path) => merged.paths[path]!.get!.operationId)
  t.is(new Set(ids).size, 3)
})

test("a link to an operation that is not public does not lead to another service's", (t) => {
  const hidden = { '/b': { get: { operationId: 'x', responses: { 200: { description: '' } } } } }
  const merged = merge({
    a: linking('/a', 'one', { operationId: 'x' }, hidden),
    b: service('b', string, { operationId: 'a.x' }),
    c: linking('/c', 'two', { operationRef: '#/paths/~1b/get' }, hidden),
  })
  t.is(merged.paths['/b']!.get!.operationId, 'a.x')
  t.not(linkOf(merged, '/a').operationId, 'a.x')
  t.is(linkOf(merged, '/c').operationRef, '#/paths/not-public')
})

test('of two services that have one path but for the names of its parameters, the longer prefix has it', (t) => {
  const item = (summary: string) => ({ get: { summary, responses: { 200: { description: '' } } } })
  const merged = mergedOf(
    [openRoute('a', '/shop'), openRoute('b', '/shop/{id}')],
    [
      serviceOf('a', { paths: { '/shop/{item}/price': item('a'), '/shop': item('a') } }),
      serviceOf('b', { paths: { '/shop/{id}/price': item('b') } }),
    ],
  )
  t.false('/shop/{item}/price' in merged.paths)
  t.is(merged.paths['/shop/{id}/price']!.get!.summary, 'b')
  t.like(merged['x-munjigi-services'][0], {
    name: 'a',
    reason:
      'left out, since the same path but for the names of its parameters is there already: /shop/{item}/price',
  })
})

test('methods of one path that a document spreads over two ways to write it all stay', (t) => {
  const operation = { responses: { 200: { description: '' } } }
  const paths = { '/a/{id}': { get: operation }, '/a/{name}': { delete: operation } }
  const merged = mergedOf([openRoute('a', '/a')], [serviceOf('a', { paths })])
  t.true('get' in merged.paths['/a/{id}']! && 'delete' in merged.paths['/a/{name}']!)
})

test("one service's document alone says what it says of itself, keeps its tags, and has nothing of others", (t) => {
  const info = { title: 'Shop', version: '7', description: 'Sells' }
  const shop = {
    ...service('shop', string, { tags: ['items'] }),
    ...{ info, tags: [{ name: 'items', description: 'Things' }], servers: [{ url: 'http://10.0.0.1' }] },
  }
  const merged = mergedOf(
    [{ ...openRoute('shop', '/shop'), auth: 'required' }, openRoute('b', '/b')],
    [serviceOf('shop', shop), serviceOf('b', service('b', number))],
    { only: 'shop' },
  )
  t.deepEqual(merged.info, info)
  t.deepEqual(merged.tags, [{ name: 'items', description: 'Things' }])
  t.deepEqual(Object.keys(merged.paths), ['/shop'])
  t.deepEqual(merged.paths['/shop']!.get!.tags, ['items'])
  t.deepEqual(merged.paths['/shop']!.get!.security, [{ bearer: [] }])
  t.deepEqual(schemasOf(merged), ['Item'])
  t.deepEqual(merged.servers, gatewayDocument.servers)
  t.deepEqual(danglingReferences(merged), [])
})
