import { isObject, type Json, type JsonObject } from './json.ts'
import { usedComponents } from './prune.ts'
import type { FindPublicPaths, PublishedRoute } from './public-paths.ts'
import { type Renaming, renamed, renamedMap, renamedSecurity } from './rename.ts'
import {
  bearerSchemeName,
  guardedResponses,
  guardedSecurity,
  isGatewayBearer,
  securitySchemesOf,
} from './security.ts'

/** One service's share of the merged document. */
export interface ServiceShare {
  readonly paths: readonly (readonly [string, JsonObject])[]
  readonly components: JsonObject
}

const methods = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'])

/** What of a service's document is public, under the names and with the guards that the public meets. */
export function serviceShare(
  service: string,
  document: JsonObject,
  publicPaths: FindPublicPaths,
): ServiceShare {
  const base = basePath(document.servers)
  const publish = (path: string) => publicPaths(service, housePath(base, path))
  const ownSchemes = securitySchemesOf(document)
  const renaming: Renaming = {
    component: (name) => componentName(service, name),
    securityScheme: (name) =>
      isGatewayBearer(ownSchemes[name]) ? bearerSchemeName : componentName(service, name),
    operationId: (id) => `${service}.${id}`,
    path: (path) => publish(path)[0]?.path,
  }
  const shared: Shared = {
    service,
    security: renamedSecurity(document.security ?? null, renaming),
    schemes: Object.fromEntries(
      Object.entries(ownSchemes).map(([name, scheme]) => [renaming.securityScheme(name), scheme]),
    ),
    operationIds: new Set<string>(),
  }
  const paths: [string, JsonObject][] = []
  for (const [path, item] of Object.entries((document.paths ?? {}) as JsonObject)) {
    if (path.startsWith('x-')) continue
    for (const { path: publicPath, route } of publish(path)) {
      const copy = Object.entries(renamed(inlined(item, document), renaming) as JsonObject)
        // They would send whoever tries an operation out past the gateway.
        .filter(([key]) => key !== 'servers')
        .map(([key, member]) => {
          if (!methods.has(key)) return [key, member] as const
          return [key, operation(member as JsonObject, route, shared)] as const
        })
      paths.push([publicPath, Object.fromEntries(copy)])
    }
  }
  const components = Object.entries((document.components ?? {}) as JsonObject).flatMap(([kind, members]) => {
    if (!isObject(members) || kind.startsWith('x-')) return []
    const rename = kind === 'securitySchemes' ? renaming.securityScheme : renaming.component
    const entries = Object.entries(renamedMap(members, renaming))
      .map(([name, member]) => [rename(name), member] as const)
      // It is there already, as the gateway's own.
      .filter(([name]) => kind !== 'securitySchemes' || name !== bearerSchemeName)
    return [[kind, Object.fromEntries(entries)]]
  })
  return { paths, components: usedComponents(Object.fromEntries(paths), Object.fromEntries(components)) }
}

/** What all operations of a service's document have in common. */
interface Shared {
  readonly service: string
  /** The whole document's requirements, renamed; null where it has none. */
  readonly security: Json
  /** The service's security schemes under the names they have in the merged document. */
  readonly schemes: Readonly<Record<string, Json>>
  /** Those given so far. */
  readonly operationIds: Set<string>
}

/** An operation under its service's tag, with what its document and its route say for all of them written out. */
function operation(member: JsonObject, route: PublishedRoute, shared: Shared): JsonObject {
  const { servers: _, operationId, ...rest } = member
  const { service, operationIds } = shared
  let id = operationId
  if (typeof operationId === 'string') {
    // One operation under two public paths: ids are unique in a document.
    for (let n = 2; operationIds.has(id as string); n += 1) id = `${operationId}_${n}`
    operationIds.add(id as string)
  }
  const security = guardedSecurity(route, rest.security ?? shared.security, shared.schemes)
  const responses = guardedResponses(route, rest.responses)
  return {
    ...rest,
    ...(security !== null && { security }),
    ...(responses !== undefined && { responses }),
    ...(id !== undefined && { operationId: id }),
    tags: [service],
  }
}

/** Component names are limited to `A-Z a-z 0-9 . - _` (OpenAPI 3.1, Components Object). */
function componentName(service: string, name: string): string {
  return `${service}.${name}`.replace(/[^A-Za-z0-9.\-_]/g, '_')
}

/** A path item that is defined among the components stands in each path's place: each has a route of its own. */
function inlined(item: Json, { components }: JsonObject): Json {
  if (!isObject(item) || typeof item.$ref !== 'string') return item
  const { $ref, ...rest } = item
  const [, name] = /^#\/components\/pathItems\/([\w.-]+)$/.exec($ref) ?? []
  const pathItems = isObject(components) ? components.pathItems : undefined
  if (name === undefined || !isObject(pathItems) || !Object.hasOwn(pathItems, name)) return item
  const defined = pathItems[name]
  return isObject(defined) ? { ...defined, ...rest } : item
}

/** The path of the document's first server, which its paths are relative to: `https://x/v1/` → `/v1`. */
function basePath(servers: Json | undefined): string {
  const first = Array.isArray(servers) ? (servers[0] as Json) : undefined
  if (!isObject(first) || typeof first.url !== 'string') return ''
  const variables = isObject(first.variables) ? first.variables : {}
  const url = first.url.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = Object.hasOwn(variables, name) ? variables[name] : undefined
    return isObject(variable) ? String(variable.default ?? '') : ''
  })
  return URL.parse(url, 'http://house/')?.pathname.replace(/\/+$/, '') ?? ''
}

const housePath = (base: string, path: string) => (path === '/' && base !== '' ? base : `${base}${path}`)
