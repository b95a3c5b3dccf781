type Value = unknown
type Members = Record<string, Value>

const isMembers = (value: Value): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Their values are data of the API: a `$ref` in them is none. */
const data = new Set(['example', 'examples', 'default', 'enum', 'const', 'value'])
/** Their members are named by an author. */
const named = new Set([
  ...['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'schemas'],
  ...['responses', 'content', 'headers', 'links', 'callbacks', 'requestBodies'],
])

/**
 * The references of an OpenAPI document that lead nowhere: of `$ref`, of discriminators, of links to paths, and
 * schemes that are demanded without being there.
 */
export function danglingReferences(document: object): string[] {
  const dangling: string[] = []
  const schemes = ((document as Members).components as Members | undefined)?.securitySchemes as Members
  walk(document, false)
  return dangling

  function check(reference: Value): void {
    if (typeof reference === 'string' && !resolves(document, reference)) dangling.push(reference)
  }

  function walk(value: Value, names: boolean): void {
    if (Array.isArray(value)) for (const item of value) walk(item, false)
    if (!isMembers(value)) return
    for (const [key, member] of Object.entries(value)) {
      if (names) walk(member, false)
      else if (key === '$ref') check(member)
      else if (key === 'operationRef') check(member)
      else if (key === 'discriminator' && isMembers(member)) {
        for (const target of Object.values((member.mapping ?? {}) as Members)) check(target)
      } else if (key === 'security' && Array.isArray(member)) {
        for (const name of (member as Members[]).flatMap(Object.keys)) {
          if (!Object.hasOwn(schemes ?? {}, name)) dangling.push(`security: ${name}`)
        }
      } else if (key === 'examples' && isMembers(member)) {
        for (const example of Object.values(member)) if (isMembers(example)) check(example.$ref)
      } else if (!data.has(key) && !key.startsWith('x-')) walk(member, named.has(key))
    }
  }
}

function resolves(document: Value, reference: string): boolean {
  if (!reference.startsWith('#/')) return false
  let value = document
  for (const token of reference.slice(2).split('/')) {
    const name = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return false
    value = (value as Members)[name]
  }
  return true
}
