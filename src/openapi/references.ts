import { isObject, type Json, type JsonObject } from './json.ts'
import { DocumentRefused, shown } from './refusal.ts'

/** Where something is in a document: the tokens of a JSON pointer (RFC 6901), unescaped. */
export type Tokens = readonly string[]

/** A schema with an `$id`: what it and its parts refer to is relative to it. */
export interface Resource {
  readonly uri: string
  readonly tokens: Tokens
}

export interface References {
  /** The resource that begins with this schema. */
  resourceOf(schema: JsonObject): Resource | undefined
  /**
   * Where a reference leads to in this document.
   *
   * @throws DocumentRefused where it leads to another one, which is never fetched
   */
  locate(reference: string, from: Resource | undefined): Tokens
  /** As `locate`, for a `$dynamicRef`; one that could lead to several places is refused. */
  locateDynamic(reference: string, from: Resource | undefined): Tokens
  /** What is there; undefined where nothing is. `through` follows references on the way. */
  find(tokens: Tokens, through?: boolean): Json | undefined
}

/** What a document that does not say where it is might be at. */
const home = 'http://document.invalid/'

/** Their values are data of the API. */
const data = new Set(['example', 'examples', 'default', 'enum', 'const', 'value'])

/**
 * @param location where the document was fetched: a path, which its references to itself may name
 * @param identified whether `$id`, `$anchor` or `$dynamicAnchor` stand anywhere in it
 */
export function createReferences(document: JsonObject, location: string, identified: boolean): References {
  const self = URL.parse(location, home)?.href ?? home
  const resources = new Map<JsonObject, Resource>()
  const ids = new Map<string, Tokens>([[self, []]])
  const anchors = new Map<string, Tokens>()
  /** How many places each leads to. */
  const dynamic = new Map<string, number>()
  if (identified) identify(document, [], { uri: self, tokens: [] })

  function identify(value: Json, tokens: Tokens, resource: Resource): void {
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries())
        identify(item as Json, [...tokens, String(index)], resource)
    }
    if (!isObject(value)) return
    let current = resource
    const { $id, $anchor, $dynamicAnchor } = value
    // An id that is a mere fragment identifies nothing (JSON Schema 2020-12, core §8.2.1).
    if (typeof $id === 'string' && !$id.startsWith('#')) {
      const uri = URL.parse($id.replace(/#$/, ''), resource.uri)?.href
      if (uri === undefined) throw new DocumentRefused(`has the $id ${shown($id)}, which is no URI`)
      if (ids.has(uri)) throw new DocumentRefused(`has the $id ${shown($id)} twice`)
      current = { uri, tokens }
      ids.set(uri, tokens)
      resources.set(value, current)
    }
    if (typeof $anchor === 'string') anchors.set(`${current.uri}#${$anchor}`, tokens)
    if (typeof $dynamicAnchor === 'string') {
      anchors.set(`${current.uri}#${$dynamicAnchor}`, tokens)
      dynamic.set($dynamicAnchor, (dynamic.get($dynamicAnchor) ?? 0) + 1)
    }
    for (const [key, member] of Object.entries(value)) {
      if (!data.has(key) && !key.startsWith('x-')) identify(member, [...tokens, key], current)
    }
  }

  function locate(reference: string, from: Resource | undefined): Tokens {
    const local = reference.startsWith('#')
    const [address, fragment = ''] = local
      ? [from?.uri ?? self, reference.slice(1)]
      : splitFragment(URL.parse(reference, from?.uri ?? self)?.href ?? reference)
    const start = ids.get(address)
    if (start === undefined) {
      throw new DocumentRefused(`refers to another document (${shown(reference)}), which is not followed`)
    }
    if (fragment === '') return start
    if (fragment.startsWith('/')) return [...start, ...fragment.slice(1).split('/').map(unescapeToken)]
    const anchored = anchors.get(`${address}#${fragment}`)
    if (anchored === undefined) throw dangling(reference)
    return anchored
  }

  function find(tokens: Tokens, through = false, depth = 0): Json | undefined {
    let value: Json | undefined = document
    for (const token of tokens) {
      if (through && isObject(value) && !Object.hasOwn(value, token) && typeof value.$ref === 'string') {
        if (depth > 20) return undefined
        value = find(locate(value.$ref, undefined), true, depth + 1)
      }
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined
      value = (value as JsonObject)[token]
    }
    return value
  }

  return {
    resourceOf: (schema) => resources.get(schema),
    locate,
    locateDynamic(reference, from) {
      const name = reference.slice(reference.indexOf('#') + 1)
      if ((dynamic.get(name) ?? 0) < 2) return locate(reference, from)
      throw new DocumentRefused(`has a $dynamicRef (${shown(reference)}) that may lead to several schemas`)
    },
    find,
  }
}

/** Whether a reference names another server than that of the document, in any way that a reader might take. */
export const leavesHome = (reference: string) => URL.parse(reference, home)?.origin !== new URL(home).origin

export const dangling = (reference: string) =>
  new DocumentRefused(`refers to ${shown(reference)}, which it does not have`)

function splitFragment(uri: string): [string, string?] {
  const at = uri.indexOf('#')
  return at === -1 ? [uri] : [uri.slice(0, at), uri.slice(at + 1)]
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

export function escapeToken(token: string): string {
  return encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1')).replace(
    /%(?:24|26|2B|2C|3A|3B|3D|40)/g,
    decodeURIComponent,
  )
}
