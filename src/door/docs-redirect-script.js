// Runs in the browser, as the script of GET /docs/oauth2-redirect.html: hands what a login came back with to the page
// of Swagger UI that asked, and to no other. It is told through a channel, not through window.opener: a provider's page
// may have cut this window from the one that opened it (Cross-Origin-Opener-Policy). What is told is worth nothing to
// whoever else may listen at this origin: tokens are given for the code_verifier only, which never leaves that page.

const query = new URLSearchParams(location.search)
history.replaceState(null, '', location.pathname)

const state = query.get('state')
const channel = new BroadcastChannel('munjigi.docs')
channel.addEventListener('message', ({ data }) => {
  if (data?.kind === 'taken' && data.state === state) window.close()
})
channel.postMessage({
  kind: 'answer',
  state,
  code: query.get('code'),
  problem: query.get('error_description') ?? query.get('error') ?? 'The login came back without a code.',
})
