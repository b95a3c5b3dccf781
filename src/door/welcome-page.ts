import type { Route } from '../discovery/table.ts'
import { type Html, html } from './html.ts'
import { pageHead } from './page.ts'

export interface WelcomePage {
  readonly routePrefix: string
  readonly publicUrl: string
  readonly routes: readonly Pick<Route, 'prefix' | 'service' | 'auth' | 'instances'>[]
  readonly version: string
  /** Whether there is a login page. */
  readonly login: boolean
  /** Whether the dashboard is on this port, and the page is not for the public. */
  readonly dashboard: boolean
  readonly style: string
}

/** The page of `GET /`: where to look next, and what the address book knows now. No script, nothing loaded. */
export function renderWelcome({
  routePrefix,
  publicUrl,
  routes,
  version,
  login,
  dashboard,
  style,
}: WelcomePage): string {
  const services = [...Map.groupBy(routes, (route) => route.service)].sort(([a], [b]) => (a < b ? -1 : 1))
  const page = html`<!doctype html>
<html lang="en">
${pageHead('munjigi', style)}
<body>
  <main>
    <header>
      <p class="name"><span lang="en">munjigi</span> <span lang="ko">문지기</span></p>
      <h1>The door is open.</h1>
      <p class="lead">This is the API gateway of <b>${publicUrl}</b>. It takes a request, looks the service up
        in its address book and passes the request on.</p>
      <p class="actions">
        <a class="button" href="${routePrefix}/docs">Open the API docs</a>
        ${login ? html`<a href="${routePrefix}/login">Log in</a>` : ''}
        ${dashboard ? html`<a href="${routePrefix}/dashboard">Dashboard</a>` : ''}
        <a href="${routePrefix}/openapi.json">openapi.json</a>
      </p>
    </header>
    <ol class="journey" aria-label="The way of a request">
      <li>door</li><li>proxy</li><li>address book</li><li>house</li>
    </ol>
    <section aria-labelledby="services">
      <h2 id="services">Services <span class="count">${services.length}</span></h2>
      ${services.length === 0 ? nobody : services.map(([name, own]) => serviceCard(name, own, publicUrl))}
    </section>
    <footer>munjigi ${version}</footer>
  </main>
</body>
</html>
`
  return page.markup
}

const nobody = html`<p class="empty">The address book is empty. Start a service and name it, for example with
  <code>AUTH_SERVICE_URL=http://localhost:8001</code>, and it will stand here.</p>`

function serviceCard(name: string, routes: WelcomePage['routes'], publicUrl: string): Html {
  const count = routes[0]?.instances.length ?? 0
  return html`<article>
      <h3>${name} ${instances(count)}</h3>
      <ul>${routes.map((route) => routeItem(route, publicUrl))}</ul>
    </article>
      `
}

function instances(count: number): Html {
  if (count === 0) return html`<span class="state down">no instance up</span>`
  return html`<span class="state up">${count} ${count === 1 ? 'instance' : 'instances'}</span>`
}

function routeItem({ prefix, auth }: WelcomePage['routes'][number], publicUrl: string): Html {
  const who = { none: 'open to all', optional: 'token optional', required: 'token required' }[auth]
  return html`
        <li>
          <p><code class="path">${prefix}</code> <span class="auth">${who}</span></p>
          <pre><code>${curlLine(publicUrl + prefix, auth)}</code></pre>
        </li>`
}

function curlLine(url: string, auth: Route['auth']): string {
  const header = auth === 'required' ? `-H 'Authorization: Bearer <token>' ` : ''
  return `curl ${header}${shellWord(url)}`
}

/** One word to a POSIX shell: prefixes may hold `$`, `&` and `'`. */
function shellWord(text: string): string {
  return /^[\w.~:/@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
