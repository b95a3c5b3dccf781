import type { Collected } from './collect.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { usedComponents } from './prune.ts'
import { createPublicPaths, type FindPublicPaths, type PublishedRoute } from './public-paths.ts'
import { type Renaming, renamed, renamedMap, renamedSecurity } from './rename.ts'

export interface MergeOptions {
  /** The gateway's own document, which the others are added to. */
  readonly own: JsonObject
  readonly routes: readonly PublishedRoute[]
  /** What is known of each service's document, by service name. */
  readonly collected: ReadonlyMap<string, Collected>
  /** Whether the gateway itself answers a path. */
  readonly isOwn: (path: string) => boolean
}

/** One service's share of the merged document. */
interface Part {
  readonly paths: readonly (readonly [string, JsonObject])[]
  readonly components: JsonObject
}

const methods = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'])

/**
 * The gateway's document with every service's added: their paths as the public sees them, tagged with the
 * service's name; their components, operation ids and security schemes prefixed with it. Which service is in,
 * and why one is not, stands under `x-munjigi-services`. A document that cannot be merged never costs another.
 */
export function mergeDocuments({ own, routes, collected, isOwn }: MergeOptions): JsonObject {
  const publicPaths = createPublicPaths(routes, isOwn)
  const paths = new Map(Object.entries(own.paths as JsonObject))
  const components = new Map<string, Map<string, Json>>()
  const tags = [...(own.tags as Json[])]
  const services: Json[] = []
  addComponents(components, own.components as JsonObject)

  for (const service of [...new Set(routes.map((route) => route.service))].sort()) {
    const known = collected.get(service)
    let reason = known?.reason
    let status: Collected['status'] = known?.status ?? 'waiting'
    if (known?.document !== undefined) {
      try {
        const part = serviceShare(service, known.document, publicPaths)
        for (const [path, item] of part.paths) paths.set(path, item)
        addComponents(components, part.components)
        if (part.paths.length === 0) {
          reason ??= 'none of its paths is reachable through the routes of the service'
        } else if (!tags.some((tag) => isObject(tag) && tag.name === service)) {
          tags.push(tagOf(service, known.document))
        }
      } catch (error) {
        status = 'invalid'
        reason = `cannot be merged: ${error instanceof Error ? error.message : 'unknown fault'}`
      }
    }
    services.push({
      name: service,
      status,
      ...(reason !== undefined && { reason }),
      ...(known?.fetchedAt !== undefined && { fetched_at: new Date(known.fetchedAt).toISOString() }),
    })
  }
  return {
    ...own,
    tags,
    paths: Object.fromEntries(paths),
    components: Object.fromEntries(
      [...components].map(([kind, members]) => [kind, Object.fromEntries(members)]),
    ),
    'x-munjigi-services': services,
  }
}

function serviceShare(service: string, document: JsonObject, publicPaths: FindPublicPaths): Part {
  const base = basePath(document.servers)
  const publish = (path: string) => publicPaths(service, housePath(base, path))
  const operationIds = new Set<string>()
  const renaming: Renaming = {
    component: (name) => componentName(service, name),
    operationId: (id) => `${service}.${id}`,
    path: (path) => publish(path)[0],
  }
  const shared = renamedSecurity(document.security ?? null, renaming)
  const paths: [string, JsonObject][] = []
  for (const [path, item] of Object.entries((document.paths ?? {}) as JsonObject)) {
    if (path.startsWith('x-')) continue
    for (const publicPath of publish(path)) {
      const copy = Object.entries(renamed(item, renaming) as JsonObject)
        // They would send whoever tries an operation out past the gateway.
        .filter(([key]) => key !== 'servers')
        .map(([key, member]) => {
          if (!methods.has(key)) return [key, member] as const
          return [key, operation(member as JsonObject, service, shared, operationIds)] as const
        })
      paths.push([publicPath, Object.fromEntries(copy)])
    }
  }
  const components = Object.entries((document.components ?? {}) as JsonObject).flatMap(([kind, members]) => {
    if (!isObject(members) || kind.startsWith('x-')) return []
    const entries = Object.entries(renamedMap(members, renaming))
    return [[kind, Object.fromEntries(entries.map(([name, member]) => [renaming.component(name), member]))]]
  })
  return { paths, components: usedComponents(Object.fromEntries(paths), Object.fromEntries(components)) }
}

/** An operation under its service's tag, with what its document says for all of them written out. */
function operation(member: JsonObject, service: string, security: Json, ids: Set<string>): JsonObject {
  const { servers: _, operationId, ...rest } = member
  let id = operationId
  if (typeof operationId === 'string') {
    // One operation under two public paths: ids are unique in a document.
    for (let n = 2; ids.has(id as string); n += 1) id = `${operationId}_${n}`
    ids.add(id as string)
  }
  return {
    ...(security !== null && { security }),
    ...rest,
    ...(id !== undefined && { operationId: id }),
    tags: [service],
  }
}

/** Component names are limited to `A-Z a-z 0-9 . - _` (OpenAPI 3.1, Components Object). */
function componentName(service: string, name: string): string {
  return `${service}.${name}`.replace(/[^A-Za-z0-9.\-_]/g, '_')
}

function tagOf(service: string, document: JsonObject): JsonObject {
  const { info } = document
  const title = isObject(info) && typeof info.title === 'string' ? info.title : undefined
  const description = isObject(info) && typeof info.description === 'string' ? info.description : undefined
  const text = [title, description].filter((part) => part !== undefined).join(': ')
  return { name: service, ...(text !== '' && { description: text }) }
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

function addComponents(all: Map<string, Map<string, Json>>, more: JsonObject): void {
  for (const [kind, members] of Object.entries(more)) {
    const known = all.get(kind) ?? new Map<string, Json>()
    for (const [name, member] of Object.entries(members as JsonObject)) known.set(name, member)
    all.set(kind, known)
  }
}
