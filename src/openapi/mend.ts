import type { Kind } from './grammar.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

/** How a parameter may be written, by where it is. */
const styles: Readonly<Record<string, readonly string[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  header: ['simple'],
  cookie: ['form'],
}

/**
 * A tidied object with what OpenAPI 3.1 demands and many documents lack, where it goes without saying: a description
 * that may be empty, a path parameter that is required. Undefined where the object says too little to stand.
 */
export function mended(kind: Kind, tidied: JsonObject, raw: JsonObject): JsonObject | undefined {
  switch (kind) {
    case 'response':
      return { ...tidied, description: tidied.description ?? '' }
    case 'requestBody':
      return { ...tidied, content: tidied.content ?? {} }
    case 'externalDocs':
      return tidied.url === undefined ? undefined : tidied
    case 'responses':
      return Object.keys(tidied).some((key) => !key.startsWith('x-')) ? tidied : undefined
    case 'parameter':
      return parameter(tidied, raw)
    case 'header':
      return described({ ...tidied, ...(tidied.style !== undefined && { style: 'simple' }) }, raw)
    case 'mediaType':
      return exemplified(tidied, raw)
    case 'encoding':
      return withStyle(tidied, styles.query!)
    case 'example':
      return tidied.value !== undefined ? without(tidied, 'externalValue') : tidied
    case 'link':
      return raw.operationId === undefined && raw.operationRef === undefined ? undefined : linked(tidied)
    case 'securityScheme':
      return securityScheme(tidied)
    default:
      return tidied
  }
}

function parameter(tidied: JsonObject, raw: JsonObject): JsonObject | undefined {
  const { name, in: place } = tidied
  const known = typeof place === 'string' && Object.hasOwn(styles, place) ? styles[place] : undefined
  if (name === undefined || known === undefined) return undefined
  let mended = withStyle(tidied, known)
  if (place === 'path') mended = { ...mended, required: true }
  if (place !== 'query') mended = without(mended, 'allowEmptyValue')
  if (place !== 'query') mended = without(mended, 'allowReserved')
  return described(mended, raw)
}

/** Of a schema and a content there is exactly one, and only beside a schema the rest that says how it is written. */
function described(tidied: JsonObject, raw: JsonObject): JsonObject {
  const { content } = tidied
  if (isObject(content) && Object.keys(content).length === 1 && tidied.schema === undefined) {
    const { style: _, explode: __, allowReserved: ___, example: ____, examples: _____, ...rest } = tidied
    return rest
  }
  return exemplified({ ...without(tidied, 'content'), schema: tidied.schema ?? {} }, raw)
}

/** There is an example or a map of them, not both. */
function exemplified(tidied: JsonObject, raw: JsonObject): JsonObject {
  if (Array.isArray(raw.examples) && tidied.example === undefined) {
    const examples = (raw.examples as Json[]).map((value, index) => [`${index + 1}`, { value }] as const)
    return {
      ...without(tidied, 'examples'),
      ...(examples.length > 0 && { examples: Object.fromEntries(examples) }),
    }
  }
  return tidied.examples === undefined ? tidied : without(tidied, 'example')
}

function withStyle(tidied: JsonObject, known: readonly string[]): JsonObject {
  const { style } = tidied
  return style === undefined || known.includes(style as string) ? tidied : without(tidied, 'style')
}

/** Its operation is named by what stands in the slots. */
const linked = (tidied: JsonObject) => without(without(tidied, 'operationId'), 'operationRef')

const flowUrls: Readonly<Record<string, readonly string[]>> = {
  implicit: ['authorizationUrl'],
  password: ['tokenUrl'],
  clientCredentials: ['tokenUrl'],
  authorizationCode: ['authorizationUrl', 'tokenUrl'],
}

function securityScheme(tidied: JsonObject): JsonObject | undefined {
  const { type, description } = tidied
  const extensions = Object.fromEntries(Object.entries(tidied).filter(([key]) => key.startsWith('x-')))
  const common = { type: type!, ...(description !== undefined && { description }), ...extensions }
  switch (type) {
    case 'apiKey': {
      const { name, in: place } = tidied
      if (name === undefined || !['query', 'header', 'cookie'].includes(String(place))) return undefined
      return { ...common, name, in: place! }
    }
    case 'http': {
      const { scheme, bearerFormat } = tidied
      if (typeof scheme !== 'string') return undefined
      const format = scheme.toLowerCase() === 'bearer' && bearerFormat !== undefined ? { bearerFormat } : {}
      return { ...common, scheme, ...format }
    }
    case 'mutualTLS':
      return common
    case 'openIdConnect':
      return tidied.openIdConnectUrl === undefined
        ? undefined
        : { ...common, openIdConnectUrl: tidied.openIdConnectUrl }
    case 'oauth2':
      return { ...common, flows: flows(tidied.flows) }
    default:
      return undefined
  }
}

function flows(value: Json | undefined): JsonObject {
  const entries = Object.entries(isObject(value) ? value : {}).flatMap(([name, flow]) => {
    const urls = Object.hasOwn(flowUrls, name) ? flowUrls[name] : undefined
    if (urls === undefined || !isObject(flow) || urls.some((url) => typeof flow[url] !== 'string')) return []
    const texts = [...urls, 'refreshUrl'].filter((url) => typeof flow[url] === 'string')
    const scopes = Object.entries(isObject(flow.scopes) ? flow.scopes : {}).map(
      ([scope, text]) => [scope, typeof text === 'string' ? text : ''] as const,
    )
    const members = texts.map((url) => [url, flow[url]!] as const)
    return [[name, { ...Object.fromEntries(members), scopes: Object.fromEntries(scopes) }] as const]
  })
  return Object.fromEntries(entries)
}

function without(object: JsonObject, member: string): JsonObject {
  if (!Object.hasOwn(object, member)) return object
  const { [member]: _, ...rest } = object
  return rest
}
