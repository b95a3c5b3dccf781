import { fromOpenapi30 } from './convert.ts'
import { isSection, type Kind, type Section, sections } from './grammar.ts'
import { inspect } from './inspect.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import type { Outline, OutlinedComponent, OutlinedOperation } from './outline.ts'
import { createPieceWriter } from './pieces.ts'
import { createReferences, dangling, escapeToken, leavesHome, type Tokens } from './references.ts'
import { DocumentRefused } from './refusal.ts'
import { basePath } from './servers.ts'
import { createTidier } from './tidy.ts'
import { componentSchema } from './tidy-schema.ts'

interface Component {
  readonly section: Section
  readonly name: string
  /** Where it stands in the document that was read. */
  readonly tokens: Tokens
}

/** A path through a schema that the conversion to OpenAPI 3.1 leaves where it is. */
const lasting =
  /^(?:(?:properties|patternProperties|\$defs)\n[^\n]*(?:\n|$)|(?:items|additionalProperties)(?:\n|$))+$/

/**
 * Takes down what merging has to know of an OpenAPI 3 document, and writes its parts.
 *
 * @param converted what it was before; `OpenAPI 3.0` or older is converted part by part
 * @throws DocumentRefused
 */
export function outlineDocument(
  document: JsonObject,
  converted: string | undefined,
  location: string,
): { readonly outline: Outline; readonly pieces: Uint8Array } {
  const { identified, foreign } = inspect(document)
  const old = converted !== undefined
  const references = createReferences(document, location, identified && !old)
  for (const reference of foreign) {
    // What is relative to an `$id` is looked up where it stands.
    if (!identified || leavesHome(reference)) references.locate(reference, undefined)
  }

  const writer = createPieceWriter()
  const components: Component[] = []
  const byPlace = new Map<string, number>()
  const taken = new Set<string>()
  /** By plain name: from where on there may be a free number. */
  const suffixes = new Map<string, number>()
  const operations: OutlinedOperation[] = []
  const ids: string[] = []
  const pointers: { path: string; tail: string }[] = []
  const notes = new Set<string>()
  const definitions = isObject(document.components) ? document.components : {}
  let heirs: Map<string, string[]> | undefined

  const tidier = createTidier({
    converted: old,
    resourceOf: references.resourceOf,
    reference: (text, kind, from) => referenceTo(references.locate(text, from), kind, text),
    dynamicReference: (text, from) => referenceTo(references.locateDynamic(text, from), 'schema', text),
    mapped(target, from) {
      const named = byPlace.get(placeOf(['components', 'schemas', target]))
      if (named !== undefined) return `#/components/schemas/${writer.slot('component', named)}`
      if (isSchemaName(target)) return undefined
      const tokens = references.locate(target, from)
      return references.find(tokens) === undefined ? undefined : referenceTo(tokens, 'schema', target)
    },
    heirs(name) {
      heirs ??= findHeirs(definitions.schemas)
      return heirs.get(name) ?? []
    },
    pathItem: (item) => followed(item, 'path item'),
    mediaType: (value) => followed(value, 'media type'),
    operation(raw, tidied) {
      const responses = isObject(tidied.responses) ? tidied.responses : undefined
      const { operationId, tags } = raw
      const index = operations.push({
        ...(typeof operationId === 'string' && { id: operationId }),
        tags: Array.isArray(tags) ? (tags as Json[]).filter((tag) => typeof tag === 'string') : [],
        security: requirements(raw.security),
        statuses: Object.keys(responses ?? {}),
      })
      const slots = {
        head: writer.slot('operation', index - 1),
        responses: writer.slot('responses', index - 1),
      }
      return {
        [slots.head]: 0,
        ...tidied,
        ...(responses && { responses: { [slots.responses]: 0, ...responses } }),
      }
    },
    calledOperation(raw, tidied) {
      const { operationId } = raw
      const security = requirements(raw.security, (index) => writer.slot('component', index))
      return {
        ...(typeof operationId === 'string' && {
          operationId: writer.slot('declaredId', ids.push(operationId) - 1),
        }),
        ...tidied,
        ...(security !== null && { security }),
      }
    },
    link({ operationId, operationRef }) {
      if (typeof operationId === 'string') {
        return { operationId: writer.slot('linkedId', ids.push(operationId) - 1) }
      }
      const [section, path, ...tail] = references.locate(String(operationRef), undefined)
      if (section !== 'paths' || path === undefined) throw dangling(String(operationRef))
      const rest = tail.map((token) => `/${escapeToken(token)}`).join('')
      return { operationRef: writer.slot('pointer', pointers.push({ path, tail: rest }) - 1) }
    },
    note: (text) => notes.add(text),
  })

  function referenceTo(tokens: Tokens, kind: Kind, text: string): string {
    const [first, section, name, ...tail] = tokens
    if (first === 'components' && isSection(section) && name !== undefined) {
      const index = byPlace.get(placeOf([first, section, name]))
      const stays = tail.length === 0 || (section === 'schemas' && (!old || lasting.test(tail.join('\n'))))
      if (index !== undefined && stays && references.find(tokens) !== undefined) {
        const rest = tail.map((token) => `/${escapeToken(token)}`).join('')
        return `#/components/${section}/${writer.slot('component', index)}${rest}`
      }
    }
    return `#/components/${sectionOf(kind, text)}/${writer.slot('component', hoisted(tokens, kind, text))}`
  }

  /** What stands anywhere but among the components becomes one: where it stands may be left out, or move. */
  function hoisted(tokens: Tokens, kind: Kind, text: string): number {
    const section = sectionOf(kind, text)
    const place = placeOf(['hoisted', section, ...tokens])
    const known = byPlace.get(place)
    if (known !== undefined) return known
    if (references.find(tokens, true) === undefined) throw dangling(text)
    const name = tokens.length === 2 ? tokens[1]! : tokens.join('.').replace(/^components\.\w+\./, '')
    return addComponent(section, name === '' ? 'document' : name, tokens, place)
  }

  function sectionOf(kind: Kind, text: string): Section {
    const found = Object.entries(sections).find(([, its]) => its === kind)
    if (found === undefined) throw dangling(text)
    return found[0] as Section
  }

  function addComponent(section: Section, wanted: string, tokens: Tokens, place: string): number {
    // Component names are limited to `A-Z a-z 0-9 . - _` (OpenAPI 3.1, Components Object).
    const plain = wanted.replace(/[^\w.-]+/g, '_').slice(0, 200) || '_'
    let name = plain
    // Goes on where the last one ended: names in another script are all alike once they are plain.
    let n = suffixes.get(`${section}/${plain}`) ?? 2
    for (; taken.has(`${section}/${name}`); n += 1) name = `${plain}_${n}`
    suffixes.set(`${section}/${plain}`, n)
    taken.add(`${section}/${name}`)
    const index = components.push({ section, name, tokens }) - 1
    byPlace.set(place, index)
    return index
  }

  function followed(value: JsonObject, what: string, depth = 0): JsonObject {
    const { $ref, ...rest } = value
    if (typeof $ref !== 'string') return value
    const target = references.find(references.locate($ref, undefined), true)
    if (!isObject(target)) throw dangling($ref)
    if (depth > 10) throw new DocumentRefused(`has a ${what} that refers to itself`)
    return { ...followed(target, what, depth + 1), ...rest }
  }

  /** Requirements of schemes that the document defines; null where it says nothing of them. */
  function requirements(
    value: Json | undefined,
    nameOf = (index: number) => components[index]!.name,
  ): JsonObject[] | null {
    if (!Array.isArray(value)) return null
    const known = (value as JsonObject[]).flatMap((requirement) => {
      const entries = Object.entries(requirement).flatMap(([name, scopes]) => {
        const index = byPlace.get(placeOf(['components', 'securitySchemes', name]))
        const roles = Array.isArray(scopes)
          ? (scopes as Json[]).filter((role) => typeof role === 'string')
          : []
        return index === undefined ? [] : [[nameOf(index), roles] as const]
      })
      const meant = Object.keys(requirement).length === 0 || entries.length > 0
      return meant ? [Object.fromEntries(entries)] : []
    })
    return known.length === 0 && value.length > 0 ? null : known
  }

  function tidied(value: Json, kind: Kind, name: string): Json | undefined {
    return tidier.tidy(old ? fromOpenapi30(value, kind, name) : value, kind, name)
  }

  for (const section of Object.keys(sections) as Section[]) {
    for (const [name, value] of Object.entries((definitions[section] ?? {}) as JsonObject)) {
      const tokens = ['components', section, name]
      // One that says too little is demanded of nobody.
      if (section === 'securitySchemes' && tidied(value, 'securityScheme', name) === undefined) continue
      addComponent(section, name, tokens, placeOf(tokens))
    }
  }
  const paths = Object.entries((document.paths ?? {}) as JsonObject)
    .filter(([path]) => path.startsWith('/'))
    .map(([path, item]) => ({ path, piece: writer.write(tidied(item, 'pathItem', path) ?? {}) }))

  const outlined: OutlinedComponent[] = []
  // More are found on the way.
  for (let index = 0; index < components.length; index += 1) {
    const { section, name, tokens } = components[index]!
    const value = references.find(tokens, true) ?? {}
    const part = tidied(value, sections[section], tokens.length === 3 ? tokens[2]! : name)
    if (part === undefined) throw new DocumentRefused(`has "components.${section}.${name}" that is not valid`)
    outlined.push({
      ...{ section, name, piece: writer.write(part) },
      hash: writer.hash(part, (slot) => components[slot]!.name),
      ...(section === 'securitySchemes' && { scheme: part }),
    })
  }

  const { document: pieces, slots } = writer.end()
  const { info, tags } = document
  return {
    pieces,
    outline: {
      ...{ info: isObject(info) ? info : {}, base: basePath(document.servers), notes: [...notes] },
      tags: tagsOf(tags),
      ...(converted !== undefined && { converted }),
      security: requirements(document.security),
      ...{ components: outlined, paths, operations, ids, pointers, slots },
    },
  }
}

function tagsOf(tags: Json | undefined): JsonObject[] {
  return (Array.isArray(tags) ? (tags as Json[]) : []).flatMap((tag) => {
    if (!isObject(tag) || typeof tag.name !== 'string') return []
    const { name, description } = tag
    return [{ name, ...(typeof description === 'string' && { description }) }]
  })
}

const placeOf = (tokens: Tokens) => tokens.map(escapeToken).join('/')

/** In the mapping of a discriminator: the name of a schema rather than where one is. */
const isSchemaName = (target: string) => /^[\w.-]+$/.test(target)

function findHeirs(schemas: Json | undefined): Map<string, string[]> {
  const heirs = new Map<string, string[]>()
  for (const [name, schema] of Object.entries(isObject(schemas) ? schemas : {})) {
    const parents = isObject(schema) && Array.isArray(schema.allOf) ? (schema.allOf as Json[]) : []
    for (const parent of parents) {
      const [, target] =
        isObject(parent) && typeof parent.$ref === 'string' ? (componentSchema.exec(parent.$ref) ?? []) : []
      if (target === undefined) continue
      const known = heirs.get(target)
      if (known === undefined) heirs.set(target, [name])
      else known.push(name)
    }
  }
  return heirs
}
