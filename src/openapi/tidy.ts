import { type Kind, type Member, methods, shapes } from './grammar.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { mended } from './mend.ts'
import type { Resource } from './references.ts'
import { shown } from './refusal.ts'
import { createSchemaTidier } from './tidy-schema.ts'

/** What a walk through a document asks for on its way. */
export interface TidyOptions {
  /** Whether it was converted to OpenAPI 3.1: then some of what that left behind is mended. */
  readonly converted: boolean
  resourceOf(schema: JsonObject): Resource | undefined
  /** The text for a reference, from a place where such a thing stands. */
  reference(text: string, kind: Kind, from: Resource | undefined): string
  dynamicReference(text: string, from: Resource | undefined): string
  /** The text for the target of a discriminator; undefined where there is none. */
  mapped(target: string, from: Resource | undefined): string | undefined
  /** The names of the component schemas that extend this one by `allOf`. */
  heirs(name: string): readonly string[]
  /** What a path item says, also where it refers to another. */
  pathItem(item: JsonObject): JsonObject
  /** What a media type says, also where it refers to another (OpenAPI 3.2). */
  mediaType(value: JsonObject): JsonObject
  /** A tidied operation of a path, with slots for what the merged document decides. */
  operation(raw: JsonObject, tidied: JsonObject): JsonObject
  /** The same for one of a callback. */
  calledOperation(raw: JsonObject, tidied: JsonObject): JsonObject
  /** The members that lead a link to its operation. */
  link(raw: JsonObject): JsonObject
  note(text: string): void
}

export interface Tidier {
  /** A copy of a part of the document; undefined where it cannot stand in any document. */
  tidy(value: Json, kind: Kind, name?: string): Json | undefined
}

/**
 * Walks a document by the grammar of OpenAPI 3.1: what is a reference and what is an API's data is told by where it
 * stands. Members that OpenAPI does not know, or of a type that it does not take, are left out: one of them would
 * make the whole merged document invalid.
 */
export function createTidier(options: TidyOptions): Tidier {
  const schema = createSchemaTidier(options)
  /** Within a callback. */
  let called = 0

  function tidy(value: Json, kind: Kind, name?: string): Json | undefined {
    if (kind === 'schema') return schema(value, undefined, name)
    if (!isObject(value)) return undefined
    if (shapes[kind].referable && typeof value.$ref === 'string') return referenceObject(value, kind)
    let raw = value
    if (kind === 'pathItem') raw = options.pathItem(value)
    else if (kind === 'mediaType') raw = options.mediaType(value)
    if (kind === 'callback') called += 1
    const tidied = mended(kind, members(raw, kind), raw)
    if (kind === 'callback') called -= 1
    if (tidied === undefined) return undefined
    if (kind === 'link') return { ...options.link(raw), ...tidied }
    if (kind !== 'operation') return tidied
    return called > 0 ? options.calledOperation(raw, tidied) : options.operation(raw, tidied)
  }

  function referenceObject({ $ref, summary, description, ...rest }: JsonObject, kind: Kind): JsonObject {
    const extensions = Object.entries(rest).filter(([key]) => key.startsWith('x-'))
    return {
      $ref: options.reference($ref as string, kind, undefined),
      ...(typeof summary === 'string' && { summary }),
      ...(typeof description === 'string' && { description }),
      ...Object.fromEntries(extensions),
    }
  }

  function members(raw: JsonObject, kind: Exclude<Kind, 'schema'>): JsonObject {
    const { members: known, others } = shapes[kind]
    const entries: [string, Json][] = []
    for (const [key, value] of Object.entries(raw)) {
      if (key.startsWith('x-') && kind !== 'callback') entries.push([key, value])
      const other = others?.names.test(key) ? others.member : undefined
      const member = Object.hasOwn(known, key) ? known[key] : other
      const tidied = member === undefined ? undefined : memberOf(value, member)
      if (tidied !== undefined) entries.push([key, tidied])
      else if (kind === 'pathItem') noteMethod(key, value)
    }
    return Object.fromEntries(entries)
  }

  function memberOf(value: Json, member: Member): Json | undefined {
    switch (member.as) {
      case 'any':
        return value
      case 'text':
        return typeof value === 'string' ? value : undefined
      case 'flag':
        return typeof value === 'boolean' ? value : undefined
      case 'texts':
        return isObject(value) ? textsOf(value) : undefined
      case 'one':
        return tidy(value, member.kind)
      case 'list':
        return Array.isArray(value)
          ? value.flatMap((item: Json) => {
              const tidied = tidy(item, member.kind)
              return tidied === undefined ? [] : [tidied]
            })
          : undefined
      case 'map':
        return isObject(value) ? mapOf(value, member.kind) : undefined
    }
  }

  function mapOf(map: JsonObject, kind: Kind): JsonObject {
    const entries = Object.entries(map).flatMap(([name, item]) => {
      const tidied = tidy(item, kind)
      return tidied === undefined ? [] : [[name, tidied] as const]
    })
    return Object.fromEntries(entries)
  }

  function noteMethod(key: string, value: Json): void {
    if (key === 'query') options.note('QUERY operations are left out: OpenAPI 3.1 has no place for them')
    if (key === 'additionalOperations' && isObject(value)) {
      const names = Object.keys(value).join(', ')
      options.note(`operations are left out, since OpenAPI 3.1 has no place for ${shown(names)}`)
    }
    if ((methods as readonly string[]).includes(key))
      options.note(`${key.toUpperCase()} operations are left out`)
  }

  return { tidy }
}

const textsOf = (map: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(map).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
