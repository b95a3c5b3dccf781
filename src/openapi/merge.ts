import { createOwnPaths } from '../door/own-paths.ts'
import { type Claims, claimPaths } from './claims.ts'
import type { Collected } from './collect.ts'
import { sections } from './grammar.ts'
import type { Json, JsonObject } from './json.ts'
import { nameComponents } from './names.ts'
import { createOperationIds } from './operation-ids.ts'
import { type Outline, readOutline } from './outline.ts'
import { createPaster, createSink } from './paste.ts'
import { createPublicPaths, type PublishedRoute } from './public-paths.ts'
import { bearerSchemeName, guardResponses, loginSchemeName } from './security.ts'
import { type Share, shareOf } from './share.ts'

/** What is merged. It can be handed to another thread. */
export interface MergeJob {
  /** The gateway's own document, which the others are added to. */
  readonly own: JsonObject
  readonly routes: readonly PublishedRoute[]
  readonly routePrefix: string
  readonly services: readonly {
    readonly name: string
    readonly status: Collected['status']
    readonly reason?: string
    /** Milliseconds since the epoch. */
    readonly fetchedAt?: number
    /** Both as `readDocument` gives them. */
    readonly document?: Uint8Array
    readonly outline?: Uint8Array
  }[]
  /** The name of a service: its document alone, as the public sees it. */
  readonly only?: string
}

interface Service {
  readonly name: string
  readonly outline: Outline
  readonly document: Uint8Array
}

/**
 * The gateway's document with every service's added: their paths as the public sees them, tagged with the service's
 * name; names that clash told apart; what each operation demands of a caller as the route that leads to it says.
 * Which service is in, and why one is not, stands under `x-munjigi-services`. How: docs/openapi.md.
 *
 * @returns OpenAPI 3.1, JSON in UTF-8
 */
export function mergeDocuments(job: MergeJob): Uint8Array<ArrayBuffer> {
  const { routes, routePrefix, only } = job
  const listed = job.services
    .filter(({ name }) => only === undefined || name === only)
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
  const services = listed.flatMap(({ name, outline, document }): Service[] =>
    outline === undefined || document === undefined
      ? []
      : [{ name, outline: readOutline(outline), document }],
  )
  const publicPaths = createPublicPaths(routes, createOwnPaths(routePrefix).includes)
  const base = only === undefined ? wholeBase(job) : singleBase(job, services[0]?.outline)
  const ownPaths = base.paths as JsonObject
  const { securitySchemes } = base.components as Record<string, JsonObject>
  const logins = Object.hasOwn(securitySchemes!, loginSchemeName)
  const claims = claimPaths(Object.keys(ownPaths), services, publicPaths)
  const shares = services.map(({ name, outline, document }) =>
    shareOf(name, outline, document, claims.get(name)!.paths, logins),
  )
  const names = nameComponents(base, shares)
  const ids = createOperationIds(base, shares)
  const sink = createSink(Math.ceil(sizeOf(shares) * 1.1) + 65_536)
  const pasters = new Map(
    shares.map((share) => [
      share,
      createPaster(share, { sink, ids, names: names.get(share)!, keepTags: only !== undefined }),
    ]),
  )

  const { openapi, info, paths: _, components, tags, ...rest } = base
  const described = only === undefined ? withServices(tags as JsonObject[], shares) : tags
  sink.text(membersOpen({ openapi, info, ...rest, tags: described } as JsonObject))
  sink.text(',"paths":{')
  const separate = createSeparator()
  for (const [path, item] of Object.entries(ownPaths)) {
    sink.text(`${separate()}${JSON.stringify(path)}:${JSON.stringify(item)}`)
  }
  for (const share of shares) {
    for (const shared of share.paths) {
      sink.text(`${separate()}${JSON.stringify(shared.path)}:`)
      pasters.get(share)!(shared.piece, shared)
    }
  }
  sink.text('},"components":{')
  const separateSections = createSeparator()
  for (const section of Object.keys(sections)) {
    const own = Object.entries(((components as JsonObject)[section] ?? {}) as JsonObject)
    const separateMembers = createSeparator(`${JSON.stringify(section)}:{`)
    let any = false
    const begin = () => {
      const text = `${any ? '' : separateSections()}${separateMembers()}`
      any = true
      return text
    }
    for (const [name, value] of own) sink.text(`${begin()}${JSON.stringify(name)}:${JSON.stringify(value)}`)
    for (const share of shares) {
      for (const [index, component] of share.outline.components.entries()) {
        if (component.section !== section || share.used[index] === 0) continue
        const { name, written } = names.get(share)![index]!
        if (!written) continue
        sink.text(`${begin()}"${name}":`)
        pasters.get(share)!(component.piece)
      }
    }
    if (any) sink.text('}')
  }
  const states = listed.map((service) =>
    stateOf(service, services.find(({ name }) => name === service.name)?.outline, claims.get(service.name)),
  )
  sink.text(`},"x-munjigi-services":${JSON.stringify(states)}}`)
  return sink.end()
}

function wholeBase({ own, routes }: MergeJob): JsonObject {
  if (routes.every(({ auth }) => auth === 'none')) return own
  const components = own.components as JsonObject
  return {
    ...own,
    components: { ...components, responses: { ...(components.responses as JsonObject), ...guardResponses } },
  }
}

/** What one service's document begins with: what it says of itself, and of the gateway's what its routes need. */
function singleBase({ own, routes, only }: MergeJob, outline: Outline | undefined): JsonObject {
  const { schemas, securitySchemes } = own.components as Record<string, JsonObject>
  const guarded = routes.some(({ service, auth }) => service === only && auth !== 'none')
  const { title, version, summary, description } = outline?.info ?? {}
  return {
    ...{ openapi: own.openapi!, servers: own.servers!, tags: outline?.tags ?? [], paths: {} },
    info: {
      ...{ title: textOr(title, only!), version: textOr(version, 'unknown') },
      ...(typeof summary === 'string' && { summary }),
      ...(typeof description === 'string' && { description }),
    },
    components: {
      securitySchemes: Object.fromEntries(
        [bearerSchemeName, loginSchemeName].flatMap((name) =>
          Object.hasOwn(securitySchemes!, name) ? [[name, securitySchemes![name]!]] : [],
        ),
      ),
      ...(guarded && { schemas: { Problem: schemas!.Problem! }, responses: guardResponses }),
    },
  }
}

function withServices(tags: readonly JsonObject[], shares: readonly Share[]): readonly JsonObject[] {
  const known = new Set(tags.map(({ name }) => name))
  const added = shares.filter(({ service, paths }) => paths.length > 0 && !known.has(service)).map(tagOf)
  return [...tags, ...added]
}

function tagOf({ service, outline: { info } }: Share): JsonObject {
  const text = [info.title, info.description].filter((part) => typeof part === 'string').join(': ')
  return { name: service, ...(text !== '' && { description: text }) }
}

function stateOf(
  { name, status, reason, fetchedAt }: MergeJob['services'][number],
  outline: Outline | undefined,
  claims: Claims | undefined,
): JsonObject {
  const reasons = [
    ...(reason === undefined ? [] : [reason]),
    ...(outline?.notes ?? []),
    ...(claims !== undefined && claims.lost.length > 0 ? [lostReason(claims.lost)] : []),
    ...(claims !== undefined && claims.paths.length + claims.lost.length === 0 && reason === undefined
      ? ['none of its paths is reachable through the routes of the service']
      : []),
  ]
  return {
    ...{ name, status },
    ...(reasons.length > 0 && { reason: reasons.join('; ') }),
    ...(outline?.converted !== undefined && { converted_from: outline.converted }),
    ...(claims !== undefined && { paths: claims.paths.length }),
    ...(fetchedAt !== undefined && { fetched_at: new Date(fetchedAt).toISOString() }),
  }
}

function lostReason(lost: readonly string[]): string {
  const named = lost.slice(0, 5).join(', ')
  const more = lost.length > 5 ? ` and ${lost.length - 5} more` : ''
  return `left out, since the same path but for the names of its parameters is there already: ${named}${more}`
}

function sizeOf(shares: readonly Share[]): number {
  return shares
    .flatMap(({ outline, paths, used }) => [
      ...paths.map(({ piece }) => piece),
      ...outline.components.filter((_, index) => used[index] === 1).map(({ piece }) => piece),
    ])
    .reduce((sum, { start, end }) => sum + end - start + 100, 0)
}

/** Gives `first` and from then on a comma. */
function createSeparator(first = ''): () => string {
  let next = first
  return () => {
    const text = next
    next = ','
    return text
  }
}

/** The text of an object but for the brace that ends it. */
const membersOpen = (object: JsonObject) => JSON.stringify(object).slice(0, -1)

const textOr = (value: Json | undefined, other: string) => (typeof value === 'string' ? value : other)
