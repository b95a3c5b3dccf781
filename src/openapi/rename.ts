import { isObject, type Json, type JsonObject } from './json.ts'

export interface Renaming {
  /** `User` → `auth.User` */
  component(name: string): string
  /** `apiKey` → `auth.apiKey`, but what several documents share keeps one name. */
  securityScheme(name: string): string
  operationId(id: string): string
  /** `/users` → `/api/users`, or undefined where the path is not published. */
  path(path: string): string | undefined
}

/** Their members are named by the document's author: the names mean nothing, the values are what they are. */
const maps = new Set([
  ...['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'],
  ...['responses', 'headers', 'links', 'callbacks', 'content', 'encoding', 'variables'],
  ...['schemas', 'requestBodies', 'securitySchemes', 'pathItems', 'paths', 'webhooks', 'mediaTypes'],
])

/** Their values are data of the API, never part of the description: a `$ref` in them is not a reference. */
const data = new Set(['example', 'default', 'enum', 'const', 'value', 'dataValue'])

/**
 * A copy of a part of an OpenAPI document with every reference, operation id and security requirement renamed,
 * so that parts of several documents can stand in one. Examples, defaults and extensions are left as they are.
 */
export function renamed(value: Json, renaming: Renaming): Json {
  if (Array.isArray(value)) return value.map((item) => renamed(item, renaming))
  if (!isObject(value)) return value
  return mapMembers(value, (key, member) => {
    if (data.has(key) || key.startsWith('x-')) return member
    if (key === 'examples') return isObject(member) ? renamedMap(member, renaming) : member
    if (key === 'parameters' && isObject(member)) return renamedMap(member, renaming)
    if (maps.has(key) && isObject(member)) return renamedMap(member, renaming)
    if (key === 'security') return renamedSecurity(member, renaming)
    if (key === 'mapping' && isObject(member)) {
      return mapMembers(member, (_, target) => renamedMapping(target, renaming))
    }
    if (typeof member === 'string') return renamedText(key, member, renaming)
    return renamed(member, renaming)
  })
}

/** As `renamed`, for an object whose members are named by the document's author. */
export function renamedMap(map: JsonObject, renaming: Renaming): JsonObject {
  return mapMembers(map, (_, member) => renamed(member, renaming))
}

/** Security requirements: scheme names are component names. */
export function renamedSecurity(security: Json, renaming: Renaming): Json {
  if (!Array.isArray(security)) return security
  return security.map((requirement: Json) =>
    isObject(requirement)
      ? Object.fromEntries(
          Object.entries(requirement).map(([name, scopes]) => [renaming.securityScheme(name), scopes]),
        )
      : requirement,
  )
}

function renamedText(key: string, text: string, renaming: Renaming): string {
  if (key === '$ref' || key === 'operationRef' || key === '$dynamicRef')
    return renamedReference(text, renaming)
  return key === 'operationId' ? renaming.operationId(text) : text
}

/** A discriminator maps to a reference or to the bare name of a schema. */
function renamedMapping(target: Json, renaming: Renaming): Json {
  if (typeof target !== 'string') return target
  if (target.startsWith('#')) return renamedReference(target, renaming)
  return /^[\w.-]+$/.test(target) ? `#/components/schemas/${renaming.component(target)}` : target
}

/** `#/components/schemas/User/…` → `#/components/schemas/auth.User/…`, `#/paths/~1users/…` likewise. */
function renamedReference(reference: string, renaming: Renaming): string {
  const [start, section, ...rest] = reference.split('/')
  if (start !== '#') return reference
  if (section === 'components' && rest.length >= 2) {
    const [kind, name, ...tail] = rest
    const rename = kind === 'securitySchemes' ? renaming.securityScheme : renaming.component
    return ['#', section, kind, escapeToken(rename(unescapeToken(name!))), ...tail].join('/')
  }
  if (section === 'paths' && rest.length >= 1) {
    const [path, ...tail] = rest
    const published = renaming.path(unescapeToken(path!))
    if (published !== undefined) return ['#', section, escapeToken(published), ...tail].join('/')
  }
  return reference
}

/** RFC 6901 §3 and §6: `~1` is a slash, `~0` a tilde, and in a URI fragment the whole is percent-encoded. */
function unescapeToken(token: string): string {
  let plain = token
  try {
    plain = decodeURIComponent(token)
  } catch {
    // A stray percent sign: the author meant it.
  }
  return plain.replaceAll('~1', '/').replaceAll('~0', '~')
}

function escapeToken(token: string): string {
  return encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1')).replace(
    /%(?:24|26|2B|2C|3A|3B|3D|40)/g,
    decodeURIComponent,
  )
}

/** Object.fromEntries, unlike an assignment, keeps a member named `__proto__` a member. */
function mapMembers(object: JsonObject, change: (key: string, member: Json) => Json): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, member]) => [key, change(key, member)]))
}
