import { isObject, type Json, type JsonObject } from './json.ts'

/**
 * The components that these paths use, directly or through others. What only unpublished paths use stays the
 * service's own business.
 */
export function usedComponents(paths: Json, components: JsonObject): JsonObject {
  const used = new Map<string, Set<string>>()
  const queue: Json[] = [paths]

  function use(kind: string, name: string): void {
    const members = components[kind]
    if (!isObject(members) || !Object.hasOwn(members, name) || used.get(kind)?.has(name)) return
    used.set(kind, (used.get(kind) ?? new Set()).add(name))
    queue.push(members[name]!)
  }

  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    if (typeof value === 'string') {
      const [, kind, name] = /^#\/components\/([^/]+)\/([^/]+)/.exec(value) ?? []
      if (kind !== undefined) use(kind, name!)
    } else if (isObject(value)) {
      // A scheme that is demanded is named, not referred to.
      const demanded = Array.isArray(value.security) ? value.security.filter(isObject) : []
      for (const name of demanded.flatMap(Object.keys)) use('securitySchemes', name)
      queue.push(...Object.values(value))
    } else if (Array.isArray(value)) queue.push(...value)
  }
  return Object.fromEntries(
    [...used].map(([kind, names]) => {
      const members = components[kind] as JsonObject
      return [kind, Object.fromEntries(Object.entries(members).filter(([name]) => names.has(name)))]
    }),
  )
}
