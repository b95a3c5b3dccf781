import { createHash } from 'node:crypto'
import type { Middleware } from 'koa'
import type { DocumentCollector, TableReader } from './collect.ts'
import type { JsonObject } from './json.ts'
import { mergeDocuments } from './merge.ts'

export interface OpenapiEndpointOptions {
  /** The gateway's own document. */
  readonly own: JsonObject
  readonly table: TableReader
  readonly collector: DocumentCollector
  /** Whether the gateway itself answers a path. */
  readonly isOwn: (path: string) => boolean
}

/** Serves the merged document. It is put together when somebody asks and something has changed. */
export function createOpenapiEndpoint({ own, table, collector, isOwn }: OpenapiEndpointOptions): Middleware {
  let known: { key: string; body: string; etag: string } | undefined

  function document() {
    const { version, routes } = table.current()
    const key = `${version}/${collector.version()}`
    if (known?.key === key) return known
    const body = JSON.stringify(mergeDocuments({ own, routes, collected: collector.collected(), isOwn }))
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
    known = { key, body, etag }
    return known
  }

  return (ctx) => {
    const { body, etag } = document()
    ctx.status = 200
    ctx.set('Cache-Control', 'no-cache')
    ctx.set('ETag', etag)
    ctx.set('X-Content-Type-Options', 'nosniff')
    if (ctx.fresh) {
      ctx.status = 304
      return
    }
    ctx.type = 'application/json'
    ctx.body = body
  }
}
