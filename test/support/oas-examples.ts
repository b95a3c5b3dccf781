import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '../../src/openapi/json.ts'

/** A real document, and the name of the service that it is served by. */
export interface Example {
  readonly service: string
  readonly document: JsonObject
}

const folder = fileURLToPath(new URL('.', import.meta.resolve('@readme/oas-examples/package.json')))

/** The documents of @readme/oas-examples: Swagger 2.0, OpenAPI 3.0 and 3.1. */
export function oasExamples(): readonly Example[] {
  return globSync('*/json/**/*.json', { cwd: folder })
    .sort()
    .map((path) => ({
      service: path.replaceAll(/[/.]/g, '-').replace(/-json$/, ''),
      document: JSON.parse(readFileSync(join(folder, path), 'utf8')) as JsonObject,
    }))
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']

/** How many operations a document has, those behind a path item's reference counted. */
export function countOperations(document: object, isCounted = (_path: string) => true): number {
  const paths = ((document as JsonObject).paths ?? {}) as Record<string, JsonObject>
  return Object.entries(paths)
    .filter(([path]) => path.startsWith('/') && isCounted(path))
    .map(([, item]) => methods.filter((method) => method in resolved(document as JsonObject, item)).length)
    .reduce((sum, count) => sum + count, 0)
}

function resolved(document: JsonObject, item: JsonObject): JsonObject {
  if (typeof item.$ref !== 'string') return item
  const tokens = item.$ref.slice(2).split('/')
  return tokens.reduce<JsonObject>(
    (value, token) =>
      value[decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~')] as JsonObject,
    document,
  )
}
