import test from 'ava'
import { createGatewayDocument } from '../../src/openapi/document.ts'
import type { JsonObject } from '../../src/openapi/json.ts'
import type { PublishedRoute } from '../../src/openapi/public-paths.ts'
import { mergedOf, openRoute, serviceOf } from '../support/merged.ts'

type Guard = Partial<Pick<PublishedRoute, 'auth' | 'scopes'>>

interface Operation {
  readonly security?: readonly Record<string, readonly string[]>[]
  readonly responses: Record<string, unknown>
}

const bearer = { type: 'http', scheme: 'bearer' }
const key = { type: 'apiKey', in: 'header', name: 'X-Key' }
const answer = { responses: { 200: { description: 'Good' } } }
const unauthorized = { $ref: '#/components/responses/Unauthorized' }
const forbidden = { $ref: '#/components/responses/Forbidden' }

const route = (prefix: string, guard: Guard = {}): PublishedRoute => ({
  ...openRoute('house', prefix),
  ...guard,
})

const merge = (routes: readonly PublishedRoute[], document: JsonObject) =>
  mergedOf(routes, [serviceOf('house', document)]) as unknown as {
    paths: Record<string, { get: Operation }>
    components: {
      responses: Record<string, unknown>
      securitySchemes: Record<string, { type: string; scheme?: string }>
    }
  }

/** `GET /house` behind such a guard, where the house's document demands this and defines these schemes. */
function operationOf(guard: Guard, security?: unknown, securitySchemes: JsonObject = { bearer, key }) {
  const get = { ...answer, ...(security !== undefined && { security: security as JsonObject[] }) }
  const document = { paths: { '/house': { get } }, components: { securitySchemes } }
  return merge([route('/house', guard)], document).paths['/house']!.get
}

const login = createGatewayDocument({
  ...{ routePrefix: '', version: '1.0.0', tokens: true, dummies: false },
  login: { publicUrl: 'https://api.example.com', scope: 'profile' },
})

test('where somebody can log in, a login is as good as a token, with the same scopes and beside the same things', (t) => {
  const get = { ...answer, security: [{ bearer: ['read'], key: [] }, { key: [] }] }
  // Another login of the same name: it is told apart.
  const oauth2 = { type: 'openIdConnect', openIdConnectUrl: 'https://elsewhere.example' }
  const document = { paths: { '/house': { get } }, components: { securitySchemes: { bearer, key, oauth2 } } }
  for (const only of [undefined, 'house']) {
    const routes = [route('/house', { auth: 'required', scopes: ['admin'] })]
    const merged = mergedOf(routes, [serviceOf('house', document)], { own: login, ...(only && { only }) })
    t.deepEqual(merged.paths['/house']!.get!.security, [
      { bearer: ['admin', 'read'], key: [] },
      { oauth2: ['admin', 'read'], key: [] },
      { bearer: ['admin'], key: [] },
      { oauth2: ['admin'], key: [] },
    ])
    t.like(merged.components.securitySchemes!.oauth2, { type: 'oauth2' })
  }
})

test('a service’s own scheme of the login’s name is told apart from it', (t) => {
  const oauth2 = { type: 'apiKey', in: 'header', name: 'X-OAuth' }
  const get = { ...answer, security: [{ oauth2: [] }] }
  const document = { paths: { '/house': { get } }, components: { securitySchemes: { oauth2 } } }
  for (const only of [undefined, 'house']) {
    const merged = mergedOf([route('/house')], [serviceOf('house', document)], {
      ...{ own: login, ...(only && { only }) },
    })
    t.deepEqual(merged.paths['/house']!.get!.security, [{ 'house.oauth2': [] }])
    t.deepEqual(merged.components.securitySchemes!['house.oauth2'], oauth2)
  }
})

test('an operation on a guarded route demands an access token, whatever its own document says', (t) => {
  for (const security of [undefined, [], [{}], [{ bearer: [] }], [{ bearer: [] }, {}]]) {
    t.deepEqual(operationOf({ auth: 'required' }, security).security, [{ bearer: [] }])
  }
})

test('the scopes of a route stand in the requirement, with those that the service adds', (t) => {
  const guard = { auth: 'required', scopes: ['shop:read', 'shop:write'] } as const
  t.deepEqual(operationOf(guard).security, [{ bearer: ['shop:read', 'shop:write'] }])
  t.deepEqual(operationOf(guard, [{ bearer: ['shop:read', 'admin'] }]).security, [
    { bearer: ['shop:read', 'shop:write', 'admin'] },
  ])
})

test('where a token is optional, an operation may be called with one or without', (t) => {
  t.deepEqual(operationOf({ auth: 'optional', scopes: ['a'] }).security, [{ bearer: ['a'] }, {}])
})

test('where a token is optional, a service may demand one', (t) => {
  t.deepEqual(operationOf({ auth: 'optional' }, [{ bearer: [] }]).security, [{ bearer: [] }])
})

test('what a service demands in a place of its own is demanded beside the token', (t) => {
  const demanded = [{ key: [] }]
  t.deepEqual(operationOf({ auth: 'required' }, demanded).security, [{ bearer: [], key: [] }])
  t.deepEqual(operationOf({ auth: 'optional' }, demanded).security, [{ bearer: [], key: [] }, { key: [] }])
})

test('what a service demands in the Authorization header gives way to the token', (t) => {
  const schemes = {
    basic: { type: 'http', scheme: 'basic' },
    oauth: { type: 'oauth2', flows: {} },
    raw: { type: 'apiKey', in: 'header', name: 'authorization' },
  }
  for (const name of Object.keys(schemes)) {
    const { security } = operationOf({ auth: 'required' }, [{ [name]: [] }], schemes)
    t.deepEqual(security, [{ bearer: [] }], name)
  }
})

test('an open route leaves to the service what it demands', (t) => {
  t.false('security' in operationOf({}))
  t.deepEqual(operationOf({}, []).security, [])
  t.deepEqual(operationOf({}, [{ key: [] }, { bearer: ['x'] }]).security, [{ key: [] }, { bearer: ['x'] }])
})

test('there is one place for the token, however often services define it, and under whatever name', (t) => {
  const schemes = {
    bearer,
    jwt: { type: 'http', scheme: 'Bearer', bearerFormat: 'jwt', description: 'Log in first' },
  }
  const paths = { '/house': { get: { ...answer, security: [{ jwt: [] }, { bearer: [] }] } } }
  for (const auth of ['none', 'required'] as const) {
    const { components } = merge([route('/house', { auth })], {
      paths,
      components: { securitySchemes: schemes },
    })
    const bearers = Object.entries(components.securitySchemes).filter(
      ([, { scheme }]) => scheme?.toLowerCase() === 'bearer',
    )
    t.deepEqual(
      bearers.map(([name]) => name),
      ['bearer'],
    )
    t.like(components.securitySchemes.bearer, { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' })
  }
})

test("a bearer token of another format is the service's own affair", (t) => {
  const schemes = { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'opaque' } }
  t.deepEqual(operationOf({}, [{ bearer: [] }], schemes).security, [{ 'house.bearer': [] }])
})

test('each path has the guard of the longest prefix that leads to it', (t) => {
  const routes = [
    route('/user'),
    route('/user/me', { auth: 'required' }),
    route('/user/me/photo', { auth: 'optional' }),
  ]
  const paths = ['/user/login', '/user/me', '/user/me/mail', '/user/me/photo', '/user/melody']
  const merged = merge(routes, { paths: Object.fromEntries(paths.map((path) => [path, { get: answer }])) })
  t.deepEqual(
    paths.map((path) => merged.paths[path]!.get.security),
    [undefined, [{ bearer: [] }], [{ bearer: [] }], [{ bearer: [] }, {}], undefined],
  )
})

test('an operation under two routes has the guard of each', (t) => {
  const routes = [
    { ...route('/open/v1'), strip: '/open' },
    { ...route('/closed/v1', { auth: 'required' }), strip: '/closed' },
  ]
  const { paths } = merge(routes, { paths: { '/v1': { get: answer } } })
  t.false('security' in paths['/open/v1']!.get)
  t.deepEqual(paths['/closed/v1']!.get.security, [{ bearer: [] }])
})

test("a guarded operation shows the gateway's refusals, and 403 only where a scope may be missing", (t) => {
  const good = answer.responses[200]
  t.deepEqual(operationOf({ auth: 'required' }).responses, { 200: good, 401: unauthorized })
  t.deepEqual(operationOf({ auth: 'optional', scopes: ['a'] }).responses, {
    200: good,
    401: unauthorized,
    403: forbidden,
  })
  t.deepEqual(operationOf({ scopes: ['a'] }).responses, { 200: good })
})

test("the gateway's refusals are described with what they really are, and only where something is guarded", (t) => {
  const document = { paths: { '/house': { get: answer } } }
  t.like(merge([route('/house', { auth: 'optional' })], document).components.responses, {
    Unauthorized: {
      content: { 'application/problem+json': { example: { status: 401, code: 'authentication_required' } } },
    },
    Forbidden: {
      content: { 'application/problem+json': { example: { status: 403, code: 'insufficient_scope' } } },
    },
  })
  t.false('Unauthorized' in merge([route('/house')], document).components.responses)
})

test('what a service says of 401 and 403 itself stands', (t) => {
  const theirs = { description: 'Log in first' }
  for (const [status, added] of [
    ['401', { 403: forbidden }],
    ['403', { 401: unauthorized }],
    ['4XX', {}],
    ['default', { 401: unauthorized, 403: forbidden }],
  ] as const) {
    const get = { responses: { [status]: theirs } }
    const { paths } = merge([route('/house', { auth: 'required', scopes: ['a'] })], {
      paths: { '/house': { get } },
    })
    t.deepEqual(paths['/house']!.get.responses, { [status]: theirs, ...added })
  }
})
