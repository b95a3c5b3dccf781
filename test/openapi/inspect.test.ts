import test from 'ava'
import type { Json } from '../../src/openapi/json.ts'
import { readDocument } from '../../src/openapi/read-document.ts'

const inspect = (value: Json) => readDocument(Buffer.from(JSON.stringify(value)))

for (const version of ['3.0.0', '3.0.4', '3.1.1', '3.2.0']) {
  test(`OpenAPI ${version} is taken`, (t) => {
    const document = { openapi: version, paths: { '/users': { get: { security: [{ key: [] }] } } } }
    t.is(inspect(document).status, 'ok')
  })
}

const operation = (get: Json) => ({ openapi: '3.1.0', paths: { '/a': { get } } })
const refusals: Readonly<Record<string, readonly [Json, string, RegExp]>> = {
  'Swagger 1.2': [{ swagger: '1.2' }, 'unsupported', /Swagger "1\.2"/],
  'a version to come': [{ openapi: '4.0.0' }, 'unsupported', /OpenAPI "4\.0\.0"/],
  'something that is no object': [[], 'invalid', /not a JSON object/],
  'no version': [{}, 'invalid', /no member "openapi"/],
  'paths that are a list': [{ openapi: '3.1.0', paths: [] }, 'invalid', /"paths"/],
  'a path without its slash': [{ openapi: '3.1.0', paths: { a: {} } }, 'invalid', /the path "a"/],
  'a path that is null': [{ openapi: '3.1.0', paths: { '/a': null } }, 'invalid', /the path "\/a"/],
  'an operation that is text': [operation('x'), 'invalid', /GET "\/a"/],
  'security that is no list': [operation({ security: {} }), 'invalid', /security of GET "\/a"/],
  'components that are a list': [{ openapi: '3.1.0', components: [] }, 'invalid', /"components"/],
  'schemas that are a list': [
    { openapi: '3.1.0', components: { schemas: [] } },
    'invalid',
    /components\.schemas/,
  ],
  'a reference to elsewhere': [
    operation({ responses: { 200: { $ref: 'https://evil.example/x.json#/a' } } }),
    'invalid',
    /another document/,
  ],
  'depth without end': [nested(10_000), 'invalid', /nested/],
}

for (const [what, [value, status, reason]] of Object.entries(refusals)) {
  test(`${what} is refused with the reason`, (t) => {
    const inspection = inspect(value)
    t.is(inspection.status as string, status)
    t.regex('reason' in inspection ? inspection.reason : '', reason)
  })
}

function nested(depth: number): Json {
  let value: Json = { openapi: '3.1.0' }
  for (let i = 0; i < depth; i += 1) value = { openapi: '3.1.0', 'x-in': value }
  return value
}
