// Runs in the browser, as the script of GET /docs/oauth2-redirect.html: hands what a login came back with to the page
// of Swagger UI that asked. It is told through a channel, not through window.opener, which a provider's page may have cut
// off (Cross-Origin-Opener-Policy); the window may not close itself then, and says that it can be closed. What is told is
// worth nothing to whoever else may listen at this origin: tokens are given for the code_verifier only, which never
// leaves that page.

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
