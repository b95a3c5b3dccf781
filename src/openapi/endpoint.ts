import type { Context, Middleware } from 'koa'
import { GatewayError } from '../errors.ts'
import type { Collected, DocumentCollector, TableReader } from './collect.ts'
import type { Publisher } from './publish.ts'
import type { ServedDocument } from './workshop.ts'

export interface OpenapiEndpointsOptions {
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  readonly publisher: Pick<Publisher, 'whole' | 'single'>
  readonly collector: Pick<DocumentCollector, 'collected'>
  readonly table: Pick<TableReader, 'current'>
}

export interface OpenapiEndpoints {
  /** `GET /openapi.json`: every service's API and the gateway's own in one document. */
  readonly whole: Middleware
  /** `GET /openapi`: of each service whether it has a document, and how old it is. */
  readonly list: Middleware
  /** `GET /openapi/:file`, where the file is `<service>.json`: one service's API as the public sees it. */
  readonly single: Middleware
  /** The services that have a document now, with its size as it came. */
  documents(): readonly { readonly name: string; readonly bytes: number }[]
}

export function createOpenapiEndpoints(options: OpenapiEndpointsOptions): OpenapiEndpoints {
  const { routePrefix, publisher, collector, table } = options

  const known = () => {
    const collected = collector.collected()
    const names = new Set(table.current().routes.map(({ service }) => service))
    return [...names].sort().map((name) => [name, collected.get(name) ?? waiting] as const)
  }

  return {
    documents: () =>
      known().flatMap(([name, { document }]) =>
        document === undefined ? [] : [{ name, bytes: document.length }],
      ),
    async whole(ctx) {
      send(ctx, await publisher.whole())
    },
    list(ctx) {
      ctx.set('Cache-Control', 'no-store')
      ctx.set('X-Content-Type-Options', 'nosniff')
      ctx.body = {
        services: known().map(([name, { status, reason, converted, document, fetchedAt }]) => ({
          name,
          status,
          ...(reason !== undefined && { reason }),
          ...(converted !== undefined && { converted_from: converted }),
          ...(document !== undefined && {
            url: `${routePrefix}/openapi/${encodeURIComponent(name)}.json`,
            bytes: document.length,
          }),
          ...(fetchedAt !== undefined && {
            fetched_at: new Date(fetchedAt).toISOString(),
            age_seconds: Math.max(0, Math.round((Date.now() - fetchedAt) / 1000)),
          }),
        })),
      }
    },
    async single(ctx) {
      const file = String(ctx.params.file)
      const service = file.endsWith('.json') ? file.slice(0, -'.json'.length) : undefined
      const [, state] = known().find(([name]) => name === service) ?? []
      if (service === undefined || state === undefined)
        throw new GatewayError('not_found', { detail: 'No service of that name has a route.' })
      const document = publisher.single(service)
      if (document === undefined) throw withoutDocument(service, state)
      send(ctx, await document)
    },
  }
}

const waiting: Collected = { status: 'waiting' }

function withoutDocument(service: string, { status, reason }: Collected): GatewayError {
  const detail =
    status === 'waiting'
      ? `The document of ${service} has not been fetched yet.`
      : `There is no document of ${service}: ${status === 'none' ? reason : `it ${reason}`}.`
  // Of the first two the next attempt may come to something else.
  return status === 'waiting' || status === 'unavailable'
    ? new GatewayError('document_unavailable', { detail, headers: { 'Retry-After': '5' } })
    : new GatewayError('not_found', { detail })
}

/** Each coding is a representation of its own, with an ETag of its own (RFC 9110 §8.8.3.3). */
function send(ctx: Context, { body, gzip, hash }: ServedDocument): void {
  const coding = ctx.acceptsEncodings('gzip', 'identity') === 'gzip' ? 'gzip' : undefined
  ctx.status = 200
  ctx.set('Cache-Control', 'no-cache')
  ctx.vary('Accept-Encoding')
  ctx.set('ETag', coding === undefined ? `"${hash}"` : `"${hash}-gzip"`)
  ctx.set('X-Content-Type-Options', 'nosniff')
  if (ctx.fresh) {
    ctx.status = 304
    return
  }
  if (coding !== undefined) ctx.set('Content-Encoding', coding)
  ctx.type = 'application/json'
  const bytes = coding === undefined ? body : gzip
  ctx.body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
