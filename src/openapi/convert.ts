import { upgrade } from '@scalar/openapi-upgrader'
import { type Kind, type Section, sections } from './grammar.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { DocumentRefused } from './refusal.ts'
import { prepareSwagger } from './swagger.ts'

/** An OpenAPI 3.0 document of a Swagger 2.0 one. What it is made of may be changed. */
export function fromSwagger(document: JsonObject): JsonObject {
  try {
    return upgrade(prepareSwagger(document), '3.0') as unknown as JsonObject
  } catch (error) {
    throw new DocumentRefused(
      `cannot be converted from Swagger 2.0 (${error instanceof Error ? error.message.slice(0, 200) : 'unknown fault'})`,
    )
  }
}

const sectionOf: ReadonlyMap<Kind, Section> = new Map(
  Object.entries(sections).map(([section, kind]) => [kind, section as Section]),
)

/**
 * One part of an OpenAPI 3.0 document as OpenAPI 3.1 has it. Part by part, since the whole of a large document twice
 * is more than a thread has room for.
 */
export function fromOpenapi30(value: Json, kind: Kind, name: string): Json {
  if (!isObject(value)) return value
  const section = sectionOf.get(kind)
  const part =
    section === undefined
      ? { paths: { '/': value } }
      : { components: { [section]: { [kind === 'schema' ? 'Schema' : name]: value } } }
  const upgraded = upgrade({ openapi: '3.0.4', info: {}, ...part }, '3.1') as unknown as {
    paths: Record<string, Json>
    components: Record<string, Record<string, Json>>
  }
  return section === undefined ? upgraded.paths['/']! : Object.values(upgraded.components[section]!)[0]!
}
