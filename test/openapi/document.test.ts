import test from 'ava'
import { oauthEndpoints } from '../../src/oauth/openapi.ts'
import type { GatewayDocumentOptions } from '../../src/openapi/document.ts'
import { createGatewayDocument } from '../../src/openapi/document.ts'
import { endpoints } from '../../src/openapi/endpoints.ts'
import type { JsonObject } from '../../src/openapi/json.ts'
import { readDocument } from '../../src/openapi/read-document.ts'
import { dummyEndpoint, tokenEndpoints } from '../../src/tokens/openapi.ts'
import { startGateway } from '../support/gateway.ts'

const options: GatewayDocumentOptions = { routePrefix: '', version: '1.2.3', tokens: true, dummies: true }
const pathsOf = (given: Partial<GatewayDocumentOptions> = {}) =>
  Object.keys(createGatewayDocument({ ...options, ...given }).paths as JsonObject)

const documents = ['/openapi.json', '/openapi', '/openapi/{service}.json']
const pages = ['/', '/docs', ...documents, '/livez', '/readyz']
const wellKnown = ['/.well-known/jwks.json', '/.well-known/oauth-authorization-server']
const tokens = ['/tokens/create', '/tokens/refresh', '/tokens/verify', '/tokens/revoke']
const oauth = [...new Set(oauthEndpoints.map(({ path }) => path))]

test("the gateway's document has its own endpoints", (t) => {
  t.deepEqual(pathsOf(), [...pages, ...tokens, ...wellKnown, '/tokens/dummy', ...oauth])
})

test('without dummies, as in production, the document does not know of them', (t) => {
  t.deepEqual(pathsOf({ dummies: false }), [...pages, ...tokens, ...wellKnown, ...oauth])
  t.false(JSON.stringify(createGatewayDocument({ ...options, dummies: false })).includes('dummy'))
})

test('without a database the document has no tokens, and no client to authenticate', (t) => {
  t.deepEqual(pathsOf({ tokens: false }), pages)
  const { components } = createGatewayDocument({ ...options, tokens: false }) as { components: JsonObject }
  t.deepEqual(Object.keys(components.securitySchemes as JsonObject), ['bearer'])
})

test('where somebody can log in the document says how, and where the token is asked for', (t) => {
  const login = { publicUrl: 'https://api.example.com', scope: 'profile email' }
  const document = createGatewayDocument({ ...options, routePrefix: '/e', login }) as unknown as {
    paths: Record<string, { get: { security: unknown } }>
    components: { securitySchemes: { oauth2: unknown } }
  }
  t.like(document.components.securitySchemes.oauth2, {
    type: 'oauth2',
    flows: {
      authorizationCode: {
        authorizationUrl: 'https://api.example.com/e/oauth/authorize',
        tokenUrl: 'https://api.example.com/e/oauth/token',
        refreshUrl: 'https://api.example.com/e/oauth/token',
        scopes: { profile: 'Granted where none is chosen', email: 'Granted where none is chosen' },
      },
    },
  })
  t.deepEqual(document.paths['/e/oauth']!.get.security, [{ bearer: [] }, { oauth2: [] }, { client: [] }])
  t.false(JSON.stringify(createGatewayDocument(options)).includes('oauth2'), 'and nowhere else')
})

test('a route prefix is put in front of all but the health and well-known endpoints', (t) => {
  t.deepEqual(pathsOf({ routePrefix: '/e', dummies: false }), [
    ...['/e', '/e/docs', ...documents.map((path) => `/e${path}`), '/livez', '/readyz'],
    ...tokens.map((path) => `/e${path}`),
    ...wellKnown,
    ...oauth.map((path) => `/e${path}`),
  ])
})

test("the gateway's document could itself be merged, and is served relative to where it was loaded", (t) => {
  const document = createGatewayDocument(options)
  t.is(readDocument(Buffer.from(JSON.stringify(document))).status, 'ok')
  t.like(document, { openapi: '3.1.0', info: { version: '1.2.3' }, servers: [{ url: '/' }] })
})

test('a token endpoint takes JSON and a form, by the schema that checks them, and says who may ask', (t) => {
  const { paths } = createGatewayDocument(options) as { paths: Record<string, JsonObject> }
  const { post } = paths['/tokens/create'] as { post: JsonObject }
  t.deepEqual(post.security, [{ client: [] }])
  const { content } = post.requestBody as { content: Record<string, { schema: JsonObject }> }
  t.deepEqual(Object.keys(content), ['application/json', 'application/x-www-form-urlencoded'])
  const { schema } = content['application/json']!
  t.deepEqual(schema.required, ['subject'])
  t.like(schema, { type: 'object', additionalProperties: false })
  t.deepEqual(Object.keys(schema.properties as JsonObject), [
    ...['subject', 'scope', 'audience', 'claims', 'client_id', 'client_secret'],
  ])
  t.deepEqual((paths['/tokens/refresh'] as { post: JsonObject }).post.security, [{}, { client: [] }])
})

test('the vault is shown with all its verbs, open to a user and to a client, and its errors are OAuth’s', (t) => {
  const { paths } = createGatewayDocument(options) as { paths: Record<string, JsonObject> }
  const verbs = (path: string) => Object.keys(paths[path]!).sort()
  t.deepEqual(verbs('/oauth'), ['get', 'post'])
  t.deepEqual(verbs('/oauth/{id}'), ['delete', 'get'])
  t.deepEqual(verbs('/oauth/{id}/refresh'), ['post'])
  for (const [path, verb] of [
    ['/oauth', 'get'],
    ['/oauth', 'post'],
    ['/oauth/{id}', 'get'],
    ['/oauth/{id}', 'delete'],
    ['/oauth/{id}/refresh', 'post'],
  ] as const) {
    const operation = paths[path]![verb] as JsonObject
    t.deepEqual(operation.security, [{ bearer: [] }, { client: [] }], `${verb} ${path}`)
    t.like(operation.responses, { default: { $ref: '#/components/responses/OAuthProblem' } })
  }
})

test('what stands in a path and behind it is shown as it is checked', (t) => {
  const { paths } = createGatewayDocument(options) as { paths: Record<string, JsonObject> }
  const parametersOf = (path: string, verb: string) =>
    (
      paths[path]![verb] as {
        parameters: { name: string; in: string; required: boolean; schema: JsonObject }[]
      }
    ).parameters
  t.deepEqual(
    parametersOf('/oauth/{id}', 'delete').map(({ name, in: place, required }) => [name, place, required]),
    [
      ['id', 'path', true],
      ['subject', 'query', false],
    ],
  )
  const limit = parametersOf('/oauth', 'get').find(({ name }) => name === 'limit')
  t.deepEqual(limit?.schema, { type: 'integer', minimum: 1, maximum: 100, default: 20 })
  for (const [path, operations] of Object.entries(paths)) {
    for (const [verb, operation] of Object.entries(operations)) {
      const { parameters = [] } = operation as { parameters?: { name: string; in: string }[] }
      const inPath = parameters.filter((one) => one.in === 'path').map(({ name }) => name)
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)
      t.deepEqual(inPath, named, `${verb} ${path}`)
    }
  }
})

test('every reference of the document leads to something', (t) => {
  for (const given of [options, { ...options, tokens: false }]) {
    const document = createGatewayDocument(given)
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
      ([, path]) => path!,
    )
    t.true(references.length > 0)
    for (const path of references) {
      const found = path
        .split('/')
        .reduce<unknown>((at, key) => (at as JsonObject | undefined)?.[key], document)
      t.truthy(found, path)
    }
  }
})

test('every page of the document answers as its schema says', async (t) => {
  const { url } = await startGateway(t)
  for (const { path, responses } of endpoints) {
    // Of a service, and there is none.
    if (path.includes('{')) continue
    const reply = await fetch(url + path)
    t.is(reply.status, 200, path)
    const [type] = (reply.headers.get('content-type') ?? '').split(';')
    const schema = responses[0]!.content?.[type!]?.schema
    t.truthy(schema, `${path} came as ${type}`)
    schema?.parse(type === 'application/json' ? await reply.json() : await reply.text())
  }
})

test('the examples of the document fit their schemas', (t) => {
  for (const { request, responses } of [...endpoints, ...tokenEndpoints, dummyEndpoint, ...oauthEndpoints]) {
    for (const example of Object.values(request?.examples ?? {})) {
      t.notThrows(() => request?.schema.parse(example))
    }
    for (const { content = {} } of responses) {
      for (const { schema, example } of Object.values(content)) {
        if (example !== undefined) t.notThrows(() => schema.parse(example))
      }
    }
  }
})
