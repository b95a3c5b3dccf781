import { methods } from './grammar.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { DocumentRefused, shown } from './refusal.ts'

/** Deeper than any document a person wrote; keeps the recursive walks well inside the stack. */
const maxDepth = 200

export interface Survey {
  /** Whether `$id`, `$anchor` or `$dynamicAnchor` stand anywhere in it. */
  readonly identified: boolean
  /** Every `$ref` that does not begin with `#`, wherever it stands. */
  readonly foreign: readonly string[]
}

/**
 * Checks what merging relies on; not that the document is valid in every part.
 *
 * @throws DocumentRefused
 */
export function inspect(document: JsonObject): Survey {
  const { paths = {}, components = {} } = document
  checkPaths(paths)
  checkComponents(components)
  checkSecurity(document.security, 'security')
  return survey(document)
}

function checkPaths(paths: Json): void {
  if (!isObject(paths)) throw new DocumentRefused('has a member "paths" that is not an object')
  for (const [path, item] of Object.entries(paths)) {
    if (path.startsWith('x-')) continue
    if (!path.startsWith('/')) {
      throw new DocumentRefused(`has the path ${shown(path)}, which does not begin with a slash`)
    }
    if (!isObject(item)) throw new DocumentRefused(`has the path ${shown(path)}, which is not an object`)
    for (const method of methods) {
      const operation = item[method]
      if (operation === undefined) continue
      const place = `${method.toUpperCase()} ${shown(path)}`
      if (!isObject(operation)) throw new DocumentRefused(`has ${place}, which is not an object`)
      checkSecurity(operation.security, `security of ${place}`)
    }
  }
}

function checkComponents(components: Json): void {
  if (!isObject(components)) throw new DocumentRefused('has a member "components" that is not an object')
  for (const [kind, members] of Object.entries(components)) {
    if (kind.startsWith('x-') || isObject(members)) continue
    throw new DocumentRefused(`has "components.${kind.slice(0, 50)}" that is not an object`)
  }
}

function checkSecurity(security: Json | undefined, place: string): void {
  if (security === undefined || (Array.isArray(security) && security.every(isObject))) return
  throw new DocumentRefused(`has "${place}" that is not a list of objects`)
}

function survey(document: JsonObject): Survey {
  const foreign: string[] = []
  let identified = false

  function look(value: Json, depth: number): void {
    if (typeof value !== 'object' || value === null) return
    if (depth > maxDepth) throw new DocumentRefused(`is nested more than ${maxDepth} levels deep`)
    if (Array.isArray(value)) {
      for (const item of value) look(item as Json, depth + 1)
      return
    }
    for (const [key, member] of Object.entries(value)) {
      if (typeof member !== 'string') look(member, depth + 1)
      else if (key === '$ref' && !member.startsWith('#')) foreign.push(member)
      else if (key === '$id' || key === '$anchor' || key === '$dynamicAnchor') identified = true
    }
  }

  look(document, 0)
  return { identified, foreign }
}
