import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { html } from '../../door/html.ts'
import { favicon, pageHead } from '../../door/page.ts'
import { securePage } from '../../door/page-security.ts'
import type { AuthorizeOptions } from './authorize.ts'
import { providerButton } from './login-page.ts'

export interface AuthorizePageOptions {
  readonly publicUrl: string
  readonly providers: readonly { readonly name: string; readonly title: string }[]
}

/** The page of `GET /oauth/authorize`: a button for each provider, and no script. */
export function createAuthorizePage({
  publicUrl,
  providers,
}: AuthorizePageOptions): AuthorizeOptions['choice'] {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const style = read('../../door/welcome.css') + read('login-page.css')
  const styleSource = `'sha256-${createHash('sha256').update(style).digest('base64')}'`
  return (ctx, { urlOf, cancelUrl }) => {
    securePage(ctx, { 'style-src': styleSource, 'img-src': favicon.source }, 'unsafe-none')
    ctx.set('Cache-Control', 'no-store')
    ctx.type = 'html'
    ctx.body = html`<!doctype html>
<html lang="en">
${pageHead('Log in · munjigi', style)}
<body>
  <main>
    <p class="name">munjigi <span lang="ko">문지기</span></p>
    <h1>Who is there?</h1>
    <p class="lead">Log in to <b>${publicUrl}</b> with an account that you have already.</p>
    <ul class="providers">${providers.map((one) => providerButton(one, urlOf(one.name)))}</ul>
    <footer><a href="${cancelUrl}">Cancel</a></footer>
  </main>
</body>
</html>
`.markup
  }
}
