import { fromSwagger } from './convert.ts'
import { inspect } from './inspect.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { writeOutline } from './outline.ts'
import { outlineDocument } from './outline-document.ts'
import { DocumentRefused, shown } from './refusal.ts'

/**
 * A service's document, ready to be merged, or why it cannot be. `document` is its parts, as OpenAPI 3.1 in JSON and
 * UTF-8, with slots cut out where the merged document decides what stands there; `outline` says where. Both are for
 * `mergeDocuments` alone.
 */
export type Reading =
  | {
      readonly status: 'ok'
      readonly document: Uint8Array
      readonly outline: Uint8Array
      /** What it was before: `Swagger 2.0`, `OpenAPI 3.0`. */
      readonly converted?: string
    }
  | { readonly status: 'unsupported' | 'invalid'; readonly reason: string }

/**
 * Reads a service's document: parses it, checks what merging relies on, converts Swagger 2.0 and OpenAPI 3.0 to 3.1,
 * and takes down what merging has to know. Nothing is fetched.
 *
 * @param bytes JSON in UTF-8
 * @param location the path it was fetched from, which its references to itself may name
 */
export function readDocument(bytes: Uint8Array, location = '/openapi.json'): Reading {
  try {
    const { document, converted } = accepted(parse(bytes))
    const { outline, pieces } = outlineDocument(document, converted, location)
    return {
      status: 'ok',
      document: pieces,
      outline: writeOutline(outline),
      ...(converted !== undefined && { converted }),
    }
  } catch (error) {
    if (error instanceof DocumentRefused) return { status: error.status, reason: error.message }
    return { status: 'invalid', reason: 'cannot be read' }
  }
}

function parse(bytes: Uint8Array): Json {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json
  } catch {
    throw new DocumentRefused('is not valid JSON')
  }
}

function accepted(value: Json): { readonly document: JsonObject; readonly converted?: string } {
  if (!isObject(value)) throw new DocumentRefused('is not a JSON object')
  const { swagger, openapi } = value
  if (swagger !== undefined) {
    if (swagger !== '2.0') throw unsupported(`Swagger ${shown(String(swagger))}`)
    // The conversion walks it as it is: what would be refused afterwards must not reach it.
    inspect({ ...value, components: {} })
    return { document: fromSwagger(value), converted: 'Swagger 2.0' }
  }
  if (typeof openapi !== 'string') throw new DocumentRefused('has no member "openapi" that names its version')
  if (!/^3\.\d+\.\d+/.test(openapi)) throw unsupported(`OpenAPI ${shown(openapi)}`)
  return openapi.startsWith('3.0.') ? { document: value, converted: 'OpenAPI 3.0' } : { document: value }
}

const unsupported = (version: string) =>
  new DocumentRefused(`is ${version}; Swagger 2.0 and OpenAPI 3 documents are merged`, 'unsupported')
