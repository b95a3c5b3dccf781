import type { Context, Middleware } from 'koa'
import { koaSwagger } from 'koa2-swagger-ui'
import { createDocsAssets } from './docs-assets.ts'
import { createNonce, securePage } from './page-security.ts'

export interface DocsOptions {
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
}

export interface Docs {
  /** `GET <prefix>/docs` and `<prefix>/docs/`, exactly. */
  readonly page: Middleware
  /** `GET <prefix>/docs/assets/:version/:file`. */
  readonly asset: Middleware
}

/** Swagger UI over the merged document, with nothing from anywhere but the gateway itself. */
export function createDocs({ routePrefix }: DocsOptions): Docs {
  const path = `${routePrefix}/docs`
  const assets = createDocsAssets(`${path}/assets`)
  const page = renderPage(routePrefix, assets)

  return {
    async page(ctx, next) {
      if (ctx.path !== path && ctx.path !== `${path}/`) {
        await next()
        return
      }
      const nonce = createNonce()
      securePage(ctx, {
        'script-src': `'nonce-${nonce}'`,
        'style-src': `'nonce-${nonce}'`,
        // The browser fetches what is tried out, and the document.
        'connect-src': "'self'",
        // Swagger UI's style sheet and widgets carry their icons as data: URLs.
        'img-src': "'self' data:",
      })
      ctx.set('Cache-Control', 'no-store')
      ctx.type = 'html'
      ctx.body = page.replaceAll(noncePlace, nonce)
    },
    asset: assets.serve,
  }
}

const noncePlace = '{nonce}'

/** Where Swagger UI lets a button leave the screen of a phone, or lie upon a reply that has few lines. */
const narrowScreens = `
    @media (max-width: 640px) {
      .swagger-ui .opblock .opblock-section-header { flex-wrap: wrap; row-gap: 20px }
      .swagger-ui .try-out { display: flex; flex-wrap: wrap; gap: 8px }
      .swagger-ui .try-out .btn { margin: 0 }
      .swagger-ui .live-responses-table .highlight-code code { display: block; padding-bottom: 40px }
    }`

/**
 * Lets koa2-swagger-ui render its page once, and makes it one that needs nothing from outside: its template
 * links to Google's fonts. Fails at the start, not in somebody's browser, where a new version of it links
 * to something else.
 */
function renderPage(
  routePrefix: string,
  assets: { readonly base: string; readonly version: string },
): string {
  const render = koaSwagger({
    title: 'munjigi API',
    // It joins both with a slash: <base>/<version>/swagger-ui-bundle.js.
    swaggerCdnUrl: assets.base,
    swaggerVersion: assets.version,
    favicon: `${assets.base}/${assets.version}/favicon-32x32.png`,
    hideTopbar: true,
    customCSS: narrowScreens,
    // Its own path matching is not anchored; the path has been matched exactly by then.
    routePrefix: false,
    swaggerOptions: {
      url: `${routePrefix}/openapi.json`,
      deepLinking: true,
      displayRequestDuration: true,
      // A token would outlive the page in localStorage, where every service behind this origin can read it.
      persistAuthorization: false,
      // Otherwise a badge is loaded from validator.swagger.io.
      validatorUrl: null,
    },
  })
  const rendered = {} as Context & { body: string }
  render(rendered, () => Promise.reject(new Error('koa2-swagger-ui did not render its page')))
  const page = rendered.body
    .replace(/<link [^>]*fonts\.googleapis\.com[^>]*>/, '')
    .replace('<head>', '<head>\n  <meta name="viewport" content="width=device-width, initial-scale=1">')
    // A nonce covers elements, not style attributes.
    .replace(/(<svg [^>]*)style="[^"]*"/, '$1width="0" height="0"')
    .replace(/<(script|style|link rel="stylesheet")(?=[\s>])/g, `<$1 nonce="${noncePlace}"`)
  const foreign = /(?:src|href|url)\s*[=:(]\s*["']?(?:https?:)?\/\/[^"'\s>]*/i.exec(page)
  if (foreign !== null) throw new Error(`koa2-swagger-ui's page wants something from outside: ${foreign[0]}`)
  return page
}
