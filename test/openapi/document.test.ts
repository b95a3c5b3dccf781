import test from 'ava'
import { createGatewayDocument } from '../../src/openapi/document.ts'
import { endpoints } from '../../src/openapi/endpoints.ts'
import { inspect } from '../../src/openapi/inspect.ts'
import type { JsonObject } from '../../src/openapi/json.ts'
import { startGateway } from '../support/gateway.ts'

const pathsOf = (routePrefix: string) =>
  Object.keys(createGatewayDocument({ routePrefix, version: '1.2.3' }).paths as JsonObject)

test("the gateway's document has its own endpoints", (t) => {
  t.deepEqual(pathsOf(''), ['/', '/docs', '/openapi.json', '/livez', '/readyz'])
})

test('a route prefix is put in front of all but the health endpoints', (t) => {
  t.deepEqual(pathsOf('/e'), ['/e', '/e/docs', '/e/openapi.json', '/livez', '/readyz'])
})

test("the gateway's document could itself be merged, and is served relative to where it was loaded", (t) => {
  const document = createGatewayDocument({ routePrefix: '', version: '1.2.3' })
  t.true('document' in inspect(document))
  t.like(document, { openapi: '3.1.0', info: { version: '1.2.3' }, servers: [{ url: '/' }] })
})

test('every endpoint of the document answers as its schema says', async (t) => {
  const { url } = await startGateway(t)
  for (const { path, responses } of endpoints) {
    const reply = await fetch(url + path)
    t.is(reply.status, 200, path)
    const [type] = (reply.headers.get('content-type') ?? '').split(';')
    const schema = responses[0]!.content?.[type!]?.schema
    t.truthy(schema, `${path} came as ${type}`)
    schema?.parse(type === 'application/json' ? await reply.json() : await reply.text())
  }
})

test('the examples of the document fit their schemas', (t) => {
  for (const { responses } of endpoints) {
    for (const { content = {} } of responses) {
      for (const { schema, example } of Object.values(content)) {
        if (example !== undefined) t.notThrows(() => schema.parse(example))
      }
    }
  }
})
