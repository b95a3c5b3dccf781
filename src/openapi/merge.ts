import type { Collected } from './collect.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { createPublicPaths, type PublishedRoute } from './public-paths.ts'
import { guardResponses } from './security.ts'
import { serviceShare } from './service-share.ts'

export interface MergeOptions {
  /** The gateway's own document, which the others are added to. */
  readonly own: JsonObject
  readonly routes: readonly PublishedRoute[]
  /** What is known of each service's document, by service name. */
  readonly collected: ReadonlyMap<string, Collected>
  /** Whether the gateway itself answers a path. */
  readonly isOwn: (path: string) => boolean
}

/**
 * The gateway's document with every service's added: their paths as the public sees them, tagged with the
 * service's name; their components, operation ids and security schemes prefixed with it; what each operation
 * demands of a caller as the route that leads to it says. Which service is in, and why one is not, stands under
 * `x-munjigi-services`. A document that cannot be merged never costs another.
 */
export function mergeDocuments({ own, routes, collected, isOwn }: MergeOptions): JsonObject {
  const publicPaths = createPublicPaths(routes, isOwn)
  const paths = new Map(Object.entries(own.paths as JsonObject))
  const components = new Map<string, Map<string, Json>>()
  const tags = [...(own.tags as Json[])]
  const services: Json[] = []
  addComponents(components, own.components as JsonObject)
  if (routes.some(({ auth }) => auth !== 'none')) addComponents(components, { responses: guardResponses })

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

function tagOf(service: string, document: JsonObject): JsonObject {
  const { info } = document
  const title = isObject(info) && typeof info.title === 'string' ? info.title : undefined
  const description = isObject(info) && typeof info.description === 'string' ? info.description : undefined
  const text = [title, description].filter((part) => part !== undefined).join(': ')
  return { name: service, ...(text !== '' && { description: text }) }
}

function addComponents(all: Map<string, Map<string, Json>>, more: JsonObject): void {
  for (const [kind, members] of Object.entries(more)) {
    const known = all.get(kind) ?? new Map<string, Json>()
    for (const [name, member] of Object.entries(members as JsonObject)) known.set(name, member)
    all.set(kind, known)
  }
}
