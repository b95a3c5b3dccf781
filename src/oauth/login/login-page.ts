import { readFileSync } from 'node:fs'
import { type Html, html, trusted } from '../../door/html.ts'
import { favicon, pageHead } from '../../door/page.ts'
import { createNonce, securePage } from '../../door/page-security.ts'
import type { OAuthStep } from '../state.ts'

export interface LoginPageOptions {
  readonly publicUrl: string
  readonly routePrefix: string
  readonly providers: readonly { readonly name: string; readonly title: string }[]
  /** Whether it is a development gateway: then there is a dummy login, and tokens are printed on the console. */
  readonly development: boolean
}

/**
 * `GET /login`: a button for each provider, and the page that a login returns to. Its script (login-page-script.js)
 * exchanges the code that it returns with, and shows whose login it was.
 */
export function createLoginPage(options: LoginPageOptions): OAuthStep {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const style = read('../../door/welcome.css') + read('login-page.css')
  const script = read('login-page-script.js')
  const base = `${options.publicUrl}${options.routePrefix}`
  const asked = [`${base}/oauth/login/complete`, ...(options.development ? [`${base}/tokens/dummy`] : [])]

  return (ctx) => {
    const nonce = createNonce()
    securePage(ctx, {
      'script-src': `'nonce-${nonce}'`,
      'style-src': `'nonce-${nonce}'`,
      'img-src': favicon.source,
      'connect-src': asked.map(sourceExpression).join(' '),
    })
    // Its address may bear a code.
    ctx.set('Cache-Control', 'no-store')
    ctx.type = 'html'
    ctx.body = render(options, { nonce, style, script })
  }
}

/** CSP level 3, §2.3.1: a path may hold neither, and is decoded before it is compared. */
function sourceExpression(url: string): string {
  return url.replace(/[;,']/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
}

function render(
  { publicUrl, routePrefix, providers, development }: LoginPageOptions,
  { nonce, style, script }: Readonly<Record<'nonce' | 'style' | 'script', string>>,
): string {
  return html`<!doctype html>
<html lang="en">
${pageHead('Log in · munjigi', style, nonce)}
<body data-public-url="${publicUrl}" data-route-prefix="${routePrefix}" data-development="${String(development)}">
  <main>
    <p class="name"><a href="${routePrefix}/">munjigi <span lang="ko">문지기</span></a></p>
    <section id="problem" class="notice" role="alert" hidden>
      <h2 tabindex="-1">That did not work.</h2>
      <p class="lead" data-is="problem"></p>
      <p class="reference" data-is="reference" hidden></p>
    </section>
    <section id="elsewhere" class="notice" hidden>
      <h1>Come in by the front door.</h1>
      <p class="lead">This gateway's public address is <b>${publicUrl}</b>. A login that begins under another
        address cannot return to it.</p>
      <p class="actions"><a class="button" href="${publicUrl}${routePrefix}/login">Log in at ${publicUrl}</a></p>
    </section>
    <section id="waiting" aria-live="polite" hidden>
      <h1>One moment…</h1>
      <p class="lead">The login is being completed.</p>
    </section>
    <section id="choice">
      <h1>Who is there?</h1>
      <p class="lead">Log in to <b>${publicUrl}</b> with an account that you have already.</p>
      <noscript><p class="notice">This page needs JavaScript to complete a login.</p></noscript>
      ${providers.length === 0 ? nobody(routePrefix) : html`<ul class="providers">${providers.map((provider) => providerButton(provider, `${routePrefix}/oauth/${provider.name}/login`))}</ul>`}
      ${development ? dummy : ''}
      <footer><a href="${routePrefix}/docs">API docs</a>: press Authorize there, and paste the access token.</footer>
    </section>
    <section id="welcome" hidden>
      <h1 tabindex="-1">Welcome, <span data-is="name"></span>.</h1>
      <p class="lead">You are logged in to <b>${publicUrl}</b>.</p>
      <dl>
        <div><dt>Subject</dt><dd data-is="subject"></dd></div>
        <div><dt>Logged in with</dt><dd data-is="provider"></dd></div>
        <div><dt>Connection</dt><dd data-is="connection"></dd></div>
        <div><dt>Scope</dt><dd data-is="scope"></dd></div>
        <div><dt>Token good until</dt><dd data-is="expiry"></dd></div>
      </dl>
      ${development ? consoleHint : ''}
      <p class="actions">
        <a class="button" href="${routePrefix}/docs">Open the API docs</a>
        <a href="${routePrefix}/login">Log in again</a>
      </p>
    </section>
  </main>
  <script type="module" nonce="${nonce}">${trusted(script)}</script>
</body>
</html>
`.markup
}

/** @param href where a login by it begins */
export function providerButton({ name, title }: LoginPageOptions['providers'][number], href: string): Html {
  const [initial = ''] = title.trim()
  return html`
        <li><a class="provider" data-provider="${name}" data-title="${title}" href="${href}">
          <span class="initial" aria-hidden="true">${initial.toUpperCase()}</span>
          <span>Continue with ${title}</span>
        </a></li>`
}

const nobody = (routePrefix: string) => html`<p class="empty">No provider is configured. Set, for example,
        <code>KAKAO_CLIENT_ID</code> and <code>KAKAO_CLIENT_SECRET</code>, and its button will stand here;
        <a href="${routePrefix}/oauth/providers">the list of providers</a> says what each of them lacks.</p>`

const dummy = html`<div class="dummy">
        <button id="dummy" type="button">Dummy login</button>
        <p>As a test user, with no account anywhere. In development only.</p>
      </div>`

const consoleHint = html`<p class="hint">Both tokens are on this page's console: press <kbd>F12</kbd>
        (<kbd>⌥</kbd> <kbd>⌘</kbd> <kbd>I</kbd> on a Mac). Swagger UI takes the access token under Authorize.</p>`
