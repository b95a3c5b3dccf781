import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { html } from '../../door/html.ts'
import { favicon, pageHead } from '../../door/page.ts'
import { securePage } from '../../door/page-security.ts'
import { GatewayError } from '../../errors.ts'
import type { OAuthContext } from '../state.ts'

/** Answers with a page in place of an error. */
export type ErrorPage = (ctx: OAuthContext, error: GatewayError) => void

/**
 * What a browser shows when a login went wrong: what happened, what to do about it, and the request's id. No script,
 * nothing loaded, and no word of the provider's.
 */
export function createErrorPage(): ErrorPage {
  const style = readFileSync(new URL('../../door/welcome.css', import.meta.url), 'utf8')
  const styleSource = `'sha256-${createHash('sha256').update(style).digest('base64')}'`
  return (ctx, error) => {
    ctx.state.errorCode = error.code
    securePage(ctx, { 'style-src': styleSource, 'img-src': favicon.source })
    ctx.set('Cache-Control', 'no-store')
    ctx.set(error.headers as Record<string, string>)
    ctx.status = error.status
    ctx.type = 'html'
    ctx.body = render(error, ctx.state.requestId, style)
  }
}

/** The same error, telling where a login begins anew. */
export function withLoginUrl(error: GatewayError, loginUrl: string): GatewayError {
  const { code, detail, headers, members, cause } = error
  return new GatewayError(code, {
    ...(detail !== undefined && { detail }),
    ...{ headers, cause, members: { login_url: loginUrl, ...members } },
  })
}

function render({ title, detail, status, members }: GatewayError, requestId: string, style: string): string {
  const { login_url: loginUrl } = members
  const button = html`<p class="actions"><a class="button" href="${loginUrl ?? ''}">Try again</a></p>`
  return html`<!doctype html>
<html lang="en">
${pageHead(title, style)}
<body>
  <main>
    <p class="name"><span lang="en">munjigi</span> <span lang="ko">문지기</span></p>
    <h1>${status === 404 ? 'There is no such login.' : 'That login did not work.'}</h1>
    <p class="lead">${detail ?? `${title}.`}${status >= 500 ? ' It is not your fault; it may work in a moment.' : ''}</p>
    ${loginUrl === undefined ? '' : button}
    <footer>Request <code>${requestId}</code></footer>
  </main>
</body>
</html>
`.markup
}
