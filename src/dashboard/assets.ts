import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ParameterizedContext } from 'koa'

/** What a browser is served: client/ is its part of the program, in plain JavaScript modules. */
const files = [
  'dashboard.css',
  'main.js',
  'connection.js',
  'dom.js',
  'chart.js',
  'summary.js',
  'panels.js',
  'lanes.js',
  'lane.js',
  'happenings.js',
]

export interface Assets {
  /** Of their contents: what a browser has kept under another one is another program. */
  readonly version: string
  /** Answers with the file of this name and says whether there is one. */
  serve(ctx: Pick<ParameterizedContext, 'set' | 'type' | 'body' | 'status'>, name: string): boolean
}

/** Read once, served from memory. */
export function readAssets(): Assets {
  const loaded = new Map(
    files.map((name) => [name, readFileSync(new URL(`client/${name}`, import.meta.url))] as const),
  )
  const digest = createHash('sha256')
  for (const body of loaded.values()) digest.update(body)
  return {
    version: digest.digest('base64url').slice(0, 16),
    serve(ctx, name) {
      const body = loaded.get(name)
      if (body === undefined) return false
      ctx.status = 200
      ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
      ctx.type = name.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8'
      ctx.body = body
      return true
    },
  }
}
