// Runs in the browser, as the script of GET /login. Tokens pass through it and are not kept: no storage and no
// element ever holds one.

const { publicUrl, routePrefix, development } = document.body.dataset
const storageKey = 'munjigi.login'
const parts = ['problem', 'elsewhere', 'waiting', 'choice', 'welcome']

await arrive()

async function arrive() {
  const isElsewhere = location.origin !== new URL(publicUrl).origin
  const query = new URLSearchParams(location.search)
  // What came back is good once, and no business of whoever sees this address later.
  if (location.search !== '') history.replaceState(null, '', location.pathname)
  if (isElsewhere) return show('elsewhere')

  for (const link of document.querySelectorAll('.provider')) link.addEventListener('click', begin)
  document.getElementById('dummy')?.addEventListener('click', dummyLogin)
  const attempt = takeAttempt()
  if (query.has('code')) return complete(query, attempt)
  if (query.has('error')) complain('The login was not completed. Choose how to log in, and try again.')
}

/** A link to a provider was followed: takes a challenge and a state along, and keeps what belongs to them. */
async function begin(event) {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  const address = new URL(event.currentTarget.href)
  const attempt = { state: randomText() }
  address.searchParams.set('return_to', `${publicUrl}${routePrefix}/login`)
  address.searchParams.set('state', attempt.state)
  // Only https pages and those of this very machine can make a challenge (RFC 7636 §4.2).
  if (globalThis.crypto.subtle !== undefined) {
    attempt.verifier = randomText()
    const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(attempt.verifier))
    address.searchParams.set('code_challenge', base64url(new Uint8Array(hash)))
  }
  sessionStorage.setItem(storageKey, JSON.stringify(attempt))
  location.assign(address)
}

function takeAttempt() {
  const kept = sessionStorage.getItem(storageKey)
  sessionStorage.removeItem(storageKey)
  return kept === null ? undefined : JSON.parse(kept)
}

async function complete(query, kept) {
  // One begun without this page, by its bare address, has no state: the gateway knows which browser began it.
  const attempt = query.has('state') ? kept : undefined
  if ((query.get('state') ?? undefined) !== attempt?.state) {
    return complain(
      'This login was not begun in this window, or was begun anew since. Begin again from here.',
    )
  }
  show('waiting')
  await finish('/oauth/login/complete', {
    code: query.get('code'),
    code_verifier: attempt?.verifier,
    same_browser: true,
  })
}

async function dummyLogin() {
  show('waiting')
  await finish('/tokens/dummy', {})
}

/** Asks for tokens and shows whose they are. */
async function finish(path, body) {
  let reply
  try {
    reply = await fetch(`${publicUrl}${routePrefix}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
    })
  } catch {
    return complain('The gateway did not answer. See whether it runs, and log in again.')
  }
  const answer = await reply.json().catch(() => undefined)
  if (reply.ok && answer?.access_token !== undefined) welcome(answer)
  else complain(inWords(reply, answer), answer?.request_id)
}

function inWords(reply, problem) {
  if (problem?.code === 'invalid_grant') {
    return 'This login is used up, or was left for over a minute. Log in again.'
  }
  const wait = reply.headers.get('Retry-After')
  if (reply.status === 429) return `Too many tries. Wait ${wait ?? 'some'} seconds, and log in again.`
  const said = problem?.detail ?? problem?.title ?? `The gateway answered with status ${reply.status}.`
  return reply.status >= 500 ? `${said} Try again in a while.` : `${said} Log in again.`
}

function welcome(answer) {
  if (development === 'true') {
    console.log('access_token:', answer.access_token)
    console.log('refresh_token:', answer.refresh_token)
  }
  const { subject = subjectOf(answer.access_token), name = subject, provider, connection_id, scope } = answer
  const expiry = new Date(Date.now() + answer.expires_in * 1000)
  fill('name', name)
  fill('subject', subject)
  fill('provider', titleOf(provider))
  fill('connection', connection_id)
  fill('scope', scope || 'none')
  fill('expiry', `${expiry.toLocaleTimeString()} (${Math.round(answer.expires_in / 60)} minutes from now)`)
  show('welcome')
}

/** A dummy's reply does not say whose it is; its token does. */
function subjectOf(token) {
  try {
    return JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sub
  } catch {
    return 'somebody'
  }
}

function titleOf(provider) {
  if (provider === undefined) return 'Dummy login'
  const link = document.querySelector(`.provider[data-provider="${CSS.escape(provider)}"]`)
  return link?.dataset.title ?? provider
}

function complain(words, reference) {
  fill('problem', words)
  fill('reference', reference === undefined ? undefined : `Request ${reference}`)
  show('problem', 'choice')
}

/** Text, never markup; a line without any is not shown. */
function fill(what, text) {
  const place = document.querySelector(`[data-is="${what}"]`)
  place.textContent = text ?? ''
  const line = place.closest('dl > div') ?? place
  line.hidden = text === undefined
}

function show(...shown) {
  for (const part of parts) document.getElementById(part).hidden = !shown.includes(part)
  document.querySelector(`#${shown[0]} [tabindex]`)?.focus({ preventScroll: true })
}

function randomText() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)))
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
