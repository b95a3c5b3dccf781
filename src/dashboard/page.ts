import { html } from '../door/html.ts'
import { favicon } from '../door/page.ts'

/**
 * The dashboard before it knows anything: no word of the gateway is in it, so anybody may have it.
 *
 * @param assets where its script and style are, without a trailing slash
 */
export function renderDashboard(assets: string, nonce: string): string {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Dashboard · munjigi</title>
  <link rel="icon" href="${favicon.href}">
  <link rel="stylesheet" nonce="${nonce}" href="${assets}/dashboard.css">
  <script type="module" nonce="${nonce}" src="${assets}/main.js"></script>
</head>
<body>
  <header class="top">
    <h1>munjigi <span lang="ko">문지기</span></h1>
    <p class="connection" id="connection" role="status" data-state="connecting">connecting</p>
    <label class="search"><span class="hidden">Show services, routes and addresses with</span>
      <input type="search" id="search" placeholder="Service, route or address" autocomplete="off" spellcheck="false">
    </label>
    <label class="check"><input type="checkbox" id="trouble"> only trouble</label>
    <button type="button" id="sign-out" hidden>Forget the token</button>
  </header>
  <noscript><p class="banner">The dashboard is drawn by a script of the gateway's own, which your browser does not run.</p></noscript>
  <p class="banner" id="banner" role="status" hidden></p>
  <form class="sign-in" id="sign-in" hidden>
    <h2>Who is asking?</h2>
    <p id="sign-in-reason"></p>
    <label for="token">ADMIN_TOKEN, or an access token of the gateway with the scope <code>admin</code></label>
    <input type="password" id="token" required autocomplete="off" spellcheck="false" aria-describedby="sign-in-note">
    <p class="note" id="sign-in-note">It is kept in this page alone, and forgotten when the page is closed or loaded again.</p>
    <button>Open the dashboard</button>
  </form>
  <main id="content" hidden>
    <section class="summary" id="summary" aria-label="The gateway as a whole"></section>
    <div class="columns">
      <aside class="panels" id="panels" aria-label="Sources, keys and settings"></aside>
      <section class="journey" aria-labelledby="journey-title">
        <h2 id="journey-title">The way of a request <span class="count"><span id="shown"></span>, charts of the last five minutes, p95 dashed</span></h2>
        <p class="heads" aria-hidden="true"><span>door and routes</span><span>services</span><span>instances</span></p>
        <div id="lanes"></div>
        <p class="empty" id="empty" hidden></p>
      </section>
    </div>
  </main>
</body>
</html>
`.markup
}
