import { readFileSync } from 'node:fs'
import type { Context } from 'koa'
import { koaSwagger } from 'koa2-swagger-ui'
import { docsClientId, docsRedirectFile } from '../oauth/public-clients.ts'
import { html } from './html.ts'

export interface DocsPageOptions {
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  /** What others see, without a trailing slash. */
  readonly publicUrl: string
  /** Whether somebody can log in. */
  readonly login: boolean
  readonly assets: { readonly base: string; readonly version: string }
}

/** One of the documents to choose from. */
export interface DocsChoice {
  readonly name: string
  readonly url: string
}

export interface DocsPageValues {
  readonly nonce: string
  readonly choices: readonly DocsChoice[]
  /** The name of the one that is shown first. */
  readonly first: string
  /** Whether tags are shown unfolded. */
  readonly unfolded: boolean
}

/** Stand in the page for what differs from one request to the next. */
const places = {
  nonce: '{nonce}',
  choices: { name: '{choices}', url: '' },
  first: '{first}',
  expansion: 'none',
} as const

/**
 * Lets koa2-swagger-ui render its page once, and makes it one that needs nothing from outside: its template
 * links to Google's fonts. Fails at the start, not in somebody's browser, where a new version of it links
 * to something else.
 *
 * @returns what fills the page in for a request
 */
export function createDocsPage(options: DocsPageOptions): (values: DocsPageValues) => string {
  const page = render(options)
  return ({ nonce, choices, first, unfolded }) =>
    page
      .replaceAll(places.nonce, nonce)
      .replace(`"${places.expansion}"`, unfolded ? '"list"' : '"none"')
      .replace(JSON.stringify([places.choices]), () => scriptJson(choices))
      .replace(JSON.stringify(places.first), () => scriptJson(first))
}

const elsewhere = (publicUrl: string, docsUrl: string) => html`
<p id="elsewhere" class="elsewhere" hidden>This gateway's public address is <b>${publicUrl}</b>. A login that begins
  under another address cannot return to it: <a href="${docsUrl}">open the docs there</a> to log in.</p>`

/** JSON that cannot end the script it stands in. */
const scriptJson = (value: unknown) => JSON.stringify(value).replaceAll('<', '\\u003c')

function render({ routePrefix, publicUrl, login, assets }: DocsPageOptions): string {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const docsUrl = `${publicUrl}${routePrefix}/docs`
  const swaggerOptions = {
    // Its default is somebody else's.
    url: '',
    urls: [places.choices],
    'urls.primaryName': places.first,
    docExpansion: places.expansion,
    plugins: '...munjigi()',
    // One finds a service among many.
    filter: true,
    deepLinking: true,
    displayRequestDuration: true,
    oauth2RedirectUrl: `${docsUrl}/${docsRedirectFile}`,
    // A token would outlive the page in localStorage, where every service behind this origin can read it.
    persistAuthorization: false,
    // Otherwise a badge is loaded from validator.swagger.io.
    validatorUrl: null,
  }
  const renderInto = koaSwagger({
    title: 'munjigi API',
    // It joins both with a slash: <base>/<version>/swagger-ui-bundle.js.
    swaggerCdnUrl: assets.base,
    swaggerVersion: assets.version,
    favicon: `${assets.base}/${assets.version}/favicon-32x32.png`,
    customCSS: read('docs.css'),
    // Its own path matching is not anchored; the path has been matched exactly by then.
    routePrefix: false,
    ...(login && { oauthOptions: { clientId: docsClientId, usePkceWithAuthorizationCodeGrant: true } }),
    swaggerOptions,
  })
  const rendered = {} as Context & { body: string }
  renderInto(rendered, () => Promise.reject(new Error('koa2-swagger-ui did not render its page')))
  const body = html`<body data-public-url="${publicUrl}" data-login="${String(login)}">
${login ? elsewhere(publicUrl, docsUrl) : ''}`
  const page = rendered.body
    .replace(/<link [^>]*fonts\.googleapis\.com[^>]*>/, '')
    .replace('<head>', '<head>\n  <meta name="viewport" content="width=device-width, initial-scale=1">')
    .replace('<body>', () => `${body.markup}\n<script>\n${read('docs-script.js')}</script>`)
    // A nonce covers elements, not style attributes.
    .replace(/(<svg [^>]*)style="[^"]*"/, '$1width="0" height="0"')
    .replace(/<(script|style|link rel="stylesheet")(?=[\s>])/g, `<$1 nonce="${places.nonce}"`)
  const foreign = /(?:src|href|url)\s*[=:(]\s*["']?(?:https?:)?\/\/[^"'\s>]*/i.exec(
    page.replaceAll(publicUrl, ''),
  )
  if (foreign !== null) throw new Error(`koa2-swagger-ui's page wants something from outside: ${foreign[0]}`)
  return page
}
