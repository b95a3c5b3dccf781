import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Context } from 'koa'
import { type Html, html } from '../src/door/html.ts'
import { favicon, pageHead } from '../src/door/page.ts'

/** The longest name that makes a subject of at most 255 characters, however it is written. */
export const longestName = 24

export interface LoginForm {
  /** Where it is posted to. */
  readonly action: string
  /** What stands in the field. */
  readonly name: string
  /** Who asks. */
  readonly client: string
  readonly scopes: readonly string[]
  /** What was wrong with the name before. */
  readonly fault?: string
}

/** The pages that people see of the demo provider, in the gateway's own style; without scripts. */
export interface DemoPages {
  login(ctx: Context, form: LoginForm): void
  error(ctx: Context, what: string): void
  about(ctx: Context, loginUrl: string | undefined): void
}

const meanings: Readonly<Record<string, string>> = {
  profile: 'your name',
  email: 'your e-mail address',
  offline_access: 'access while you are away',
}

const list = new Intl.ListFormat('en')

export function createDemoPages(): DemoPages {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const style = read('../src/door/welcome.css') + read('demo-provider.css')
  const hash = createHash('sha256').update(style).digest('base64')

  function show(ctx: Context, title: string, content: Html): void {
    // No form-action: browsers hold the redirects that follow a form to it, and those end at the front end's.
    ctx.set({
      'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${hash}'; img-src ${favicon.source}; base-uri 'none'; frame-ancestors 'none'`,
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    })
    ctx.type = 'html'
    ctx.body = html`<!doctype html>
<html lang="en">
${pageHead(`${title} · demo provider`, style)}
<body>
  <main>
    <p class="name">demo provider</p>
    ${content}
  </main>
</body>
</html>
`.markup
  }

  return {
    login(ctx, { action, name, client, scopes, fault }) {
      const shared = scopes.flatMap((scope) => meanings[scope] ?? [])
      if (shared.length === 0) shared.push('who you are')
      show(
        ctx,
        'Log in',
        html`<h1>Who are you?</h1>
    <p class="lead">Any name will do: this provider runs beside the gateway, in development, and keeps nothing.</p>
    <form method="post" action="${action}">
      <label for="name">Name</label>
      <input id="name" name="name" value="${name}" maxlength="${longestName}" autocomplete="off" spellcheck="false"
        autofocus required ${fault === undefined ? '' : html`aria-invalid="true" aria-describedby="fault"`}>
      ${fault === undefined ? '' : html`<p id="fault" class="fault" role="alert">${fault}</p>`}
      <p class="asked"><b>${client}</b> asks for ${list.format(shared)}.</p>
      <p class="actions">
        <button class="button" name="decision" value="yes">Log in and allow</button>
        <button class="plain" name="decision" value="no" formnovalidate>Cancel</button>
      </p>
    </form>`,
      )
    },
    error(ctx, what) {
      show(
        ctx,
        'Error',
        html`<h1>That did not work.</h1>
    <p class="lead">${what}</p>
    <p>Go back to where you came from, and begin the login again.</p>`,
      )
    },
    about(ctx, loginUrl) {
      show(
        ctx,
        'About',
        html`<h1>Anybody may log in here.</h1>
    <p class="lead">An OpenID Connect provider for development, so that a login can be tried with no account
      anywhere. It forgets everything when it stops.</p>
    ${loginUrl === undefined ? '' : html`<p class="actions"><a class="button" href="${loginUrl}">Log in to the gateway</a></p>`}`,
      )
    },
  }
}
