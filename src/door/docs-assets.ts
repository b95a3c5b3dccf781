import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Middleware } from 'koa'

export interface DocsAssets {
  /** The URL path that the version and the file's name are added to. */
  readonly base: string
  readonly version: string
  /** Expects the router's parameters `version` and `file`. */
  readonly serve: Middleware
}

/** Names in the page → files of swagger-ui-dist, whose style sheet comes minified under the plain name. */
const files: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  'swagger-ui.min.css': { file: 'swagger-ui.css', type: 'text/css; charset=utf-8' },
  'swagger-ui-bundle.js': { file: 'swagger-ui-bundle.js', type: 'text/javascript; charset=utf-8' },
  'swagger-ui-standalone-preset.js': {
    file: 'swagger-ui-standalone-preset.js',
    type: 'text/javascript; charset=utf-8',
  },
  'favicon-32x32.png': { file: 'favicon-32x32.png', type: 'image/png' },
}

/** Swagger UI's files, read once and served from memory; their URLs carry the version, so browsers keep them. */
export function createDocsAssets(base: string): DocsAssets {
  const require = createRequire(import.meta.url)
  const { version } = require('swagger-ui-dist/package.json') as { version: string }
  const loaded = new Map(
    Object.entries(files).map(([name, { file, type }]) => {
      const body = readFileSync(require.resolve(`swagger-ui-dist/${file}`))
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
      return [`${version}/${name}`, { body, type, etag }]
    }),
  )
  return {
    base,
    version,
    async serve(ctx, next) {
      const { version, file } = ctx.params as { version: string; file: string }
      const asset = loaded.get(`${version}/${file}`)
      if (asset === undefined) {
        await next()
        return
      }
      ctx.status = 200
      ctx.set('ETag', asset.etag)
      ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
      ctx.set('X-Content-Type-Options', 'nosniff')
      if (ctx.fresh) {
        ctx.status = 304
        return
      }
      ctx.type = asset.type
      ctx.body = asset.body
    },
  }
}
