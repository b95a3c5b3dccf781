import type { Middleware } from 'koa'
import { createDocsAssets } from './docs-assets.ts'
import { createDocsPage, type DocsChoice } from './docs-page.ts'
import { createDocsRedirect } from './docs-redirect.ts'
import { createNonce, securePage } from './page-security.ts'

export interface DocsOptions {
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  /** What others see, without a trailing slash. */
  readonly publicUrl: string
  /** Whether somebody can log in. */
  readonly login: boolean
  /** The gateway's own document. */
  readonly own: unknown
  /** The services that have a document now, with its size. */
  readonly documents: () => readonly { readonly name: string; readonly bytes: number }[]
}

export interface Docs {
  /** `GET <prefix>/docs` and `<prefix>/docs/`, exactly. */
  readonly page: Middleware
  /** `GET <prefix>/docs/assets/:version/:file`. */
  readonly asset: Middleware
  /** `GET <prefix>/docs/gateway.json`: the gateway's own document alone. */
  readonly own: Middleware
  /** `GET <prefix>/docs/oauth2-redirect.html`: where a login ends. */
  readonly redirect: Middleware
}

/** From here on tags are folded: to draw what is in them takes the browser half as long again as to read it. */
const foldedBytes = 512 * 1024
/** From here on the whole is only shown to whoever chooses it: 5 MB take a browser 2 s and more, 20 MB 9 s. */
const unaskedBytes = 4 * 1024 * 1024

const whole = 'All services'
const gateway = 'The gateway'

/** Swagger UI over the merged document or one of those it is made of, with nothing from anywhere but the gateway itself. */
export function createDocs(options: DocsOptions): Docs {
  const { routePrefix, documents } = options
  const path = `${routePrefix}/docs`
  const assets = createDocsAssets(`${path}/assets`)
  const render = createDocsPage({ ...options, assets })
  const own = JSON.stringify(options.own)

  return {
    async page(ctx, next) {
      if (ctx.path !== path && ctx.path !== `${path}/`) {
        await next()
        return
      }
      const nonce = createNonce()
      const sources = {
        'script-src': `'nonce-${nonce}'`,
        'style-src': `'nonce-${nonce}'`,
        // The browser fetches what is tried out, and the document.
        'connect-src': "'self'",
        // Swagger UI's style sheet and widgets carry their icons as data: URLs.
        'img-src': "'self' data:",
      }
      securePage(ctx, sources, options.login ? 'same-origin-allow-popups' : 'same-origin')
      ctx.set('Cache-Control', 'no-store')
      ctx.type = 'html'
      const listed = documents()
      const bytes = listed.reduce((sum, one) => sum + one.bytes, own.length)
      const choices: DocsChoice[] = [
        { name: whole, url: `${routePrefix}/openapi.json` },
        { name: gateway, url: `${path}/gateway.json` },
        ...listed.map(({ name }) => ({
          name,
          url: `${routePrefix}/openapi/${encodeURIComponent(name)}.json`,
        })),
      ]
      const first = bytes < unaskedBytes ? whole : gateway
      ctx.body = render({ nonce, choices, first, unfolded: bytes < foldedBytes })
    },
    asset: assets.serve,
    own(ctx) {
      ctx.set('Cache-Control', 'no-cache')
      ctx.set('X-Content-Type-Options', 'nosniff')
      ctx.type = 'json'
      ctx.body = own
    },
    redirect: createDocsRedirect(),
  }
}
