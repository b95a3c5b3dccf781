/** What stands at a member: one object of a kind, a map or a list of them, or data of a plain type. */
export type Member =
  | { readonly as: 'one' | 'map' | 'list'; readonly kind: Kind }
  | { readonly as: 'any' | 'text' | 'flag' | 'texts' }

export type Kind =
  | 'pathItem'
  | 'operation'
  | 'parameter'
  | 'header'
  | 'requestBody'
  | 'mediaType'
  | 'encoding'
  | 'responses'
  | 'response'
  | 'callback'
  | 'link'
  | 'example'
  | 'securityScheme'
  | 'externalDocs'
  | 'schema'

export interface Shape {
  readonly members: Readonly<Record<string, Member>>
  /** Members whose names the author chooses. */
  readonly others?: { readonly names: RegExp; readonly member: Member }
  /** Whether a Reference Object may stand in its place. */
  readonly referable?: boolean
}

const one = (kind: Kind): Member => ({ as: 'one', kind })
const map = (kind: Kind): Member => ({ as: 'map', kind })
const list = (kind: Kind): Member => ({ as: 'list', kind })
const any: Member = { as: 'any' }
const text: Member = { as: 'text' }
const flag: Member = { as: 'flag' }
const texts: Member = { as: 'texts' }

export const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const

/**
 * The objects of OpenAPI 3.1 and what may stand in them, extensions apart. `servers` is left out: it would send
 * whoever tries an operation out past the gateway. What names an operation, tags and guards it is read apart.
 */
export const shapes: Readonly<Record<Exclude<Kind, 'schema'>, Shape>> = {
  pathItem: {
    members: {
      ...{ summary: text, description: text, parameters: list('parameter') },
      ...Object.fromEntries(methods.map((method) => [method, one('operation')])),
    },
  },
  operation: {
    members: {
      ...{ summary: text, description: text, externalDocs: one('externalDocs'), deprecated: flag },
      ...{ parameters: list('parameter'), requestBody: one('requestBody'), responses: one('responses') },
      callbacks: map('callback'),
    },
  },
  parameter: {
    members: {
      ...{ name: text, in: text, description: text, required: flag, deprecated: flag },
      ...{ allowEmptyValue: flag, style: text, explode: flag, allowReserved: flag },
      ...{ schema: one('schema'), content: map('mediaType'), example: any, examples: map('example') },
    },
    referable: true,
  },
  header: {
    members: {
      ...{ description: text, required: flag, deprecated: flag, style: text, explode: flag },
      ...{ schema: one('schema'), content: map('mediaType'), example: any, examples: map('example') },
    },
    referable: true,
  },
  requestBody: {
    members: { description: text, content: map('mediaType'), required: flag },
    referable: true,
  },
  mediaType: {
    members: { schema: one('schema'), encoding: map('encoding'), example: any, examples: map('example') },
  },
  encoding: {
    members: {
      ...{ contentType: text, headers: map('header'), style: text, explode: flag, allowReserved: flag },
    },
  },
  responses: {
    members: {},
    others: { names: /^(?:[1-5](?:\d\d|XX)|default)$/, member: one('response') },
  },
  response: {
    members: {
      ...{ description: text, headers: map('header'), content: map('mediaType'), links: map('link') },
    },
    referable: true,
  },
  callback: { members: {}, others: { names: /^/, member: one('pathItem') }, referable: true },
  link: {
    members: {
      operationRef: text,
      operationId: text,
      parameters: texts,
      requestBody: any,
      description: text,
    },
    referable: true,
  },
  example: {
    members: { summary: text, description: text, value: any, externalValue: text },
    referable: true,
  },
  securityScheme: {
    members: {
      ...{ type: text, description: text, name: text, in: text, scheme: text, bearerFormat: text },
      ...{ flows: any, openIdConnectUrl: text },
    },
    referable: true,
  },
  externalDocs: { members: { description: text, url: text } },
}

/** Of a schema: what holds schemas. Any other keyword is kept as it is. */
export const schemaMembers: ReadonlyMap<string, 'one' | 'map' | 'list'> = new Map([
  ...['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies'].map(
    (key) => [key, 'map'] as const,
  ),
  ...['allOf', 'anyOf', 'oneOf', 'prefixItems'].map((key) => [key, 'list'] as const),
  ...['not', 'if', 'then', 'else', 'items', 'additionalItems', 'unevaluatedItems', 'contains'].map(
    (key) => [key, 'one'] as const,
  ),
  ...['additionalProperties', 'unevaluatedProperties', 'propertyNames', 'contentSchema'].map(
    (key) => [key, 'one'] as const,
  ),
])

/** The sections of `components`, and what is in them. */
export const sections = {
  schemas: 'schema',
  responses: 'response',
  parameters: 'parameter',
  examples: 'example',
  requestBodies: 'requestBody',
  headers: 'header',
  securitySchemes: 'securityScheme',
  links: 'link',
  callbacks: 'callback',
} as const satisfies Readonly<Record<string, Kind>>

export type Section = keyof typeof sections

export const isSection = (name: string | undefined): name is Section =>
  name !== undefined && Object.hasOwn(sections, name)
