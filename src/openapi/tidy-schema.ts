import { schemaMembers } from './grammar.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import type { Resource } from './references.ts'
import type { TidyOptions } from './tidy.ts'

/** What may stand beside a `$ref` in OpenAPI 3.0, where everything else there is ignored: words, no constraints. */
const annotations = new Set([
  ...[
    '$ref',
    'title',
    'description',
    'default',
    'example',
    'examples',
    'deprecated',
    'readOnly',
    'writeOnly',
  ],
  ...['externalDocs', 'xml'],
])

/** They say where a schema is. References that used them are written out as pointers, which hold in any document. */
const places = new Set(['$id', '$anchor', '$dynamicAnchor', '$recursiveAnchor'])

type TidySchema = (value: Json, from: Resource | undefined, name?: string) => Json

/** @returns what tidies one schema; `name` where it is a component */
export function createSchemaTidier(options: TidyOptions): TidySchema {
  const { converted, reference, dynamicReference, resourceOf } = options

  function schema(value: Json, from: Resource | undefined, name?: string): Json {
    if (typeof value === 'boolean') return value
    if (!isObject(value)) return {}
    const resource = resourceOf(value) ?? from
    const ignoring = converted && typeof value.$ref === 'string'
    const entries: [string, Json][] = []
    for (const [key, member] of Object.entries(value)) {
      if (ignoring && !annotations.has(key) && !key.startsWith('x-')) continue
      const how = schemaMembers.get(key)
      if (how !== undefined) entries.push([key, held(member, how, resource)])
      else if (key === '$ref' && typeof member === 'string') {
        entries.push([key, reference(member, 'schema', resource)])
      } else if (key === '$dynamicRef' && typeof member === 'string') {
        const text = dynamicReference(member, resource)
        // Beside a `$ref` of its own it would be a second one.
        if (value.$ref === undefined) entries.push(['$ref', text])
        else entries.push(['allOf', [...lists(value.allOf, resource), { $ref: text }]])
      } else if (key === 'discriminator' && isObject(member)) {
        entries.push([key, discriminator(member, value, resource, name)])
      } else if (!places.has(key) || typeof member === 'object') entries.push([key, member])
    }
    const tidied = Object.fromEntries(entries)
    return converted ? mendConverted(tidied) : tidied
  }

  function lists(value: Json | undefined, resource: Resource | undefined): Json[] {
    return Array.isArray(value) ? value.map((item: Json) => schema(item, resource)) : []
  }

  function held(member: Json, how: 'one' | 'map' | 'list', resource: Resource | undefined): Json {
    if (Array.isArray(member))
      return member.map((item: Json) => (isText(item) ? item : schema(item, resource)))
    if (how !== 'map' || !isObject(member)) return isObject(member) ? schema(member, resource) : member
    return Object.fromEntries(
      Object.entries(member).map(([name, item]) => {
        // `dependencies` may list the names of properties.
        const names = Array.isArray(item) && item.every(isText)
        return [name, names ? item : schema(item, resource)]
      }),
    )
  }

  /**
   * Without a mapping a discriminator goes by the names of schemas, which the merged document may change: they are
   * written out.
   */
  function discriminator(
    { mapping, ...rest }: JsonObject,
    owner: JsonObject,
    from: Resource | undefined,
    name: string | undefined,
  ): JsonObject {
    const written = isObject(mapping) ? mapping : {}
    const entries = Object.entries(written).flatMap(([value, target]) => {
      const text = isText(target) ? options.mapped(target, from) : undefined
      return text === undefined ? [] : [[value, text] as const]
    })
    const known = new Set(entries.map(([, text]) => text))
    for (const implied of impliedBy(owner, name)) {
      const text = options.mapped(implied, from)
      if (text === undefined || known.has(text) || Object.hasOwn(written, implied)) continue
      entries.push([implied, text])
    }
    return { ...rest, ...(entries.length > 0 && { mapping: Object.fromEntries(entries) }) }
  }

  function impliedBy({ oneOf, anyOf }: JsonObject, name: string | undefined): readonly string[] {
    const alternatives = [oneOf, anyOf].flatMap((list) => (Array.isArray(list) ? (list as Json[]) : []))
    if (alternatives.length === 0) return name === undefined ? [] : options.heirs(name)
    return alternatives.flatMap((item) => {
      const [, target] = isObject(item) && isText(item.$ref) ? (componentSchema.exec(item.$ref) ?? []) : []
      return target === undefined ? [] : [target]
    })
  }

  return schema
}

export const componentSchema = /^#\/components\/schemas\/([\w.-]+)$/

const isText = (value: Json | undefined): value is string => typeof value === 'string'

/** What the upgrade from OpenAPI 3.0 leaves behind. */
function mendConverted({ nullable, ...schema }: JsonObject): JsonObject {
  let mended = schema
  if (Array.isArray(schema.type)) mended = { ...mended, type: [...new Set((schema.type as Json[]).flat())] }
  if (nullable === true && schema.type === undefined) {
    for (const key of ['oneOf', 'anyOf'] as const) {
      const alternatives = schema[key]
      if (!Array.isArray(alternatives)) continue
      const none = alternatives.some((item: Json) => isObject(item) && item.type === 'null')
      if (!none) mended = { ...mended, [key]: [...alternatives, { type: 'null' }] }
    }
  }
  const { examples } = schema
  if (isObject(examples)) {
    mended = {
      ...mended,
      examples: Object.values(examples).map((item) => (isObject(item) ? (item.value ?? item) : item)),
    }
  }
  return mended
}
