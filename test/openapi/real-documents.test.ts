import test from 'ava'
import type { JsonObject } from '../../src/openapi/json.ts'
import { type Merged, mergedOf, openRoute, serviceOf } from '../support/merged.ts'
import { countOperations, oasExamples } from '../support/oas-examples.ts'
import { danglingReferences } from '../support/openapi-references.ts'
import { openapiSchema } from '../support/openapi-schema.ts'

const examples = oasExamples()
const services = examples.map(({ service, document }) => serviceOf(service, document))
const routes = examples.map(({ service }, index) => ({
  ...openRoute(service, `/api/${service}`, `/api/${service}`),
  auth: (['none', 'optional', 'required'] as const)[index % 3]!,
  scopes: index % 2 === 0 ? [] : ['read'],
}))
const merged: Merged = mergedOf(routes, services)

test('real documents of all three versions are there to be merged', (t) => {
  for (const version of ['2-0', '3-0', '3-1']) {
    t.true(examples.filter(({ service }) => service.startsWith(version)).length > 5, version)
  }
})

test('each of them is read', (t) => {
  t.deepEqual(
    services.filter(({ status }) => status !== 'ok'),
    [],
  )
})

test('the merged document of all is valid by the official schema', (t) => {
  t.deepEqual(openapiSchema()(merged), [])
})

test('every reference in it leads somewhere', (t) => {
  t.deepEqual(danglingReferences(merged), [])
})

test('every operation is in it', (t) => {
  for (const { service, document } of examples) {
    const prefix = `/api/${service}`
    const within = (path: string) => path === prefix || path.startsWith(`${prefix}/`)
    t.is(countOperations(merged, within), countOperations(document), service)
  }
})

test('no operation id is in it twice', (t) => {
  const ids = Object.values(merged.paths)
    .flatMap((item) => Object.values(item))
    .map((operation) => (operation as JsonObject | undefined)?.operationId)
    .filter((id) => id !== undefined)
  t.is(new Set(ids).size, ids.length)
})

test('each of them alone is valid too, with nothing that leads nowhere', (t) => {
  const faultsOf = openapiSchema()
  for (const { service } of examples) {
    const single = mergedOf(routes, services, { only: service })
    t.deepEqual([...faultsOf(single), ...danglingReferences(single)], [], service)
  }
})
