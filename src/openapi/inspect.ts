import { isObject, type Json, type JsonObject } from './json.ts'

/** Whether a service's document can be merged, and if not why, in words for whoever runs the service. */
export type Inspection =
  | { readonly document: JsonObject }
  | { readonly status: 'unsupported' | 'invalid'; readonly reason: string }

/** Deeper than any document a person wrote; keeps the recursive walks below well inside the stack. */
const maxDepth = 200

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query']

/** Checks what merging relies on; not that the document is valid in every part. */
export function inspect(value: Json): Inspection {
  if (!isObject(value)) return invalid('is not a JSON object')
  if (value.swagger !== undefined) {
    return { status: 'unsupported', reason: 'is Swagger 2.0; only OpenAPI 3 documents are merged' }
  }
  const { openapi, paths = {}, components = {} } = value
  if (typeof openapi !== 'string') return invalid('has no member "openapi" that names its version')
  if (!/^3\.\d+\.\d+/.test(openapi)) {
    const version = JSON.stringify(openapi.slice(0, 20))
    return { status: 'unsupported', reason: `is OpenAPI ${version}; only OpenAPI 3 documents are merged` }
  }
  return (
    checkPaths(paths) ??
    checkComponents(components) ??
    checkSecurity(value.security, 'security') ??
    checkWhole(value, 0) ?? { document: value }
  )
}

const invalid = (reason: string) => ({ status: 'invalid', reason }) as const

function checkPaths(paths: Json): Inspection | undefined {
  if (!isObject(paths)) return invalid('has a member "paths" that is not an object')
  for (const [path, item] of Object.entries(paths)) {
    if (path.startsWith('x-')) continue
    const shown = JSON.stringify(path.slice(0, 100))
    if (!path.startsWith('/')) return invalid(`has the path ${shown}, which does not begin with a slash`)
    if (!isObject(item)) return invalid(`has the path ${shown}, which is not an object`)
    for (const method of methods) {
      const operation = item[method]
      if (operation === undefined) continue
      const place = `${method.toUpperCase()} ${shown}`
      if (!isObject(operation)) return invalid(`has ${place}, which is not an object`)
      const fault = checkSecurity(operation.security, `security of ${place}`)
      if (fault !== undefined) return fault
    }
  }
  return undefined
}

function checkComponents(components: Json): Inspection | undefined {
  if (!isObject(components)) return invalid('has a member "components" that is not an object')
  for (const [kind, members] of Object.entries(components)) {
    if (!kind.startsWith('x-') && !isObject(members)) {
      return invalid(`has "components.${kind.slice(0, 50)}" that is not an object`)
    }
  }
  return undefined
}

function checkSecurity(security: Json | undefined, place: string): Inspection | undefined {
  if (security === undefined) return undefined
  if (Array.isArray(security) && security.every(isObject)) return undefined
  return invalid(`has "${place}" that is not a list of objects`)
}

/** A reference to another document would send every reader's browser to fetch it. */
function checkWhole(value: Json, depth: number): Inspection | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (depth > maxDepth) return invalid(`is nested more than ${maxDepth} levels deep`)
  for (const [key, member] of Object.entries(value)) {
    if (key === '$ref' && typeof member === 'string' && !member.startsWith('#')) {
      return invalid(
        `refers to another document (${JSON.stringify(member.slice(0, 100))}), which is not followed`,
      )
    }
    const fault = checkWhole(member, depth + 1)
    if (fault !== undefined) return fault
  }
  return undefined
}
