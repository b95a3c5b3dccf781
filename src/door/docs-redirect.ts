import { readFileSync } from 'node:fs'
import type { Middleware } from 'koa'
import { html, trusted } from './html.ts'
import { favicon, pageHead } from './page.ts'
import { createNonce, securePage } from './page-security.ts'

/**
 * `GET <prefix>/docs/oauth2-redirect.html`: where a login that was begun in Swagger UI ends. Its address bears a code,
 * which its script takes away at once and hands on.
 */
export function createDocsRedirect(): Middleware {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const [style, script] = [read('welcome.css'), read('docs-redirect-script.js')]
  return (ctx) => {
    const nonce = createNonce()
    const sources = { 'script-src': `'nonce-${nonce}'`, 'style-src': `'nonce-${nonce}'` }
    securePage(ctx, { ...sources, 'img-src': favicon.source }, 'unsafe-none')
    ctx.set('Cache-Control', 'no-store')
    ctx.type = 'html'
    ctx.body = html`<!doctype html>
<html lang="en">
${pageHead('Back to the API docs · munjigi', style, nonce)}
<body>
  <main>
    <p class="name">munjigi <span lang="ko">문지기</span></p>
    <h1>Back to the API docs.</h1>
    <p class="lead">They have what they need: this window can be closed.</p>
  </main>
  <script type="module" nonce="${nonce}">${trusted(script)}</script>
</body>
</html>
`.markup
  }
}
