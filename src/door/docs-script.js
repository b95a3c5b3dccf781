// Runs in the browser before Swagger UI, as a script of GET /docs.

const { publicUrl, login } = document.body.dataset
const channel = new BroadcastChannel('munjigi.docs')

/** Its own logo brings a style that the page's policy refuses; and the dialog would open at its last field. */
function look() {
  return {
    components: { Logo: () => 'munjigi 문지기' },
    statePlugins: {
      auth: {
        wrapActions: {
          showDefinitions: (show) => (definitions) => {
            requestAnimationFrame(() => document.querySelector('.modal-ux-content')?.scrollTo(0, 0))
            return show(definitions)
          },
        },
      },
    },
  }
}

/**
 * Swagger UI forgets every credential when another document is chosen. The gateway's own token is the same for all of
 * them; what a service asks for beside is not, and may bear the same name in another service's document.
 */
function keepToken() {
  const kept = login === 'true' ? ['bearer', 'oauth2'] : ['bearer']
  return {
    statePlugins: {
      auth: {
        wrapActions: {
          restoreAuthorization: (restore, system) => () => {
            const authorized = Object.entries(system.authSelectors.authorized()?.toJS() ?? {})
            return restore({
              authorized: Object.fromEntries(authorized.filter(([name]) => kept.includes(name))),
            })
          },
        },
      },
    },
  }
}
window.munjigi = () => [look, keepToken]

/** What a login came back with, from docs-redirect-script.js in its window: an answer to the question asked here. */
channel.addEventListener('message', ({ data }) => {
  const asked = window.swaggerUIRedirectOauth2
  if (data?.kind !== 'answer' || asked === undefined || data.state !== asked.state) return
  window.swaggerUIRedirectOauth2 = undefined
  channel.postMessage({ kind: 'taken', state: data.state })
  const { auth, callback, errCb, redirectUrl } = asked
  if (data.code !== null) callback({ auth: { ...auth, code: data.code }, redirectUrl })
  else errCb({ authId: auth.name, source: 'auth', level: 'error', message: data.problem })
})

if (login === 'true' && location.origin !== new URL(publicUrl).origin) {
  document.getElementById('elsewhere').hidden = false
}
