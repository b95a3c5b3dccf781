/** The gateway says something every second or so; longer than that and the connection is taken for dead. */
const silenceMs = 15_000
const firstRetryMs = 1000
const mostRetryMs = 10_000

/**
 * Reads the events for as long as the page is open, and comes back after every end. It is `fetch` and no EventSource,
 * which can bear no token.
 *
 * @param {URL} url
 * @param {{
 *   message(event: string, data: object): void,
 *   closed(reason: string): void,
 *   refused(detail: string, hadToken: boolean): void,
 * }} handlers
 */
export function createConnection(url, handlers) {
  /** In memory alone: another tab, a script that comes later, a reader of the disk find nothing. */
  let token
  let attempt
  let timer
  let waitMs = firstRetryMs
  let wanted = false

  async function connect() {
    clearTimeout(timer)
    const own = new AbortController()
    attempt?.abort()
    attempt = own
    let reason = 'the gateway ended the stream'
    try {
      const reply = await fetch(url, {
        headers: { Accept: 'text/event-stream', ...(token && { Authorization: `Bearer ${token}` }) },
        cache: 'no-store',
        credentials: 'omit',
        redirect: 'error',
        signal: own.signal,
      })
      if (reply.ok) {
        waitMs = firstRetryMs
        await read(reply.body.getReader(), own)
      } else {
        const { detail } = await reply.json().catch(() => ({}))
        if (attempt !== own) return
        if (reply.status === 401 || reply.status === 403) {
          wanted = false
          const hadToken = token !== undefined
          token = undefined
          handlers.refused(detail ?? '', hadToken)
          return
        }
        reason = detail ?? `the gateway answers ${reply.status}`
      }
    } catch {
      reason = 'the gateway cannot be reached'
    }
    if (attempt !== own || !wanted) return
    handlers.closed(reason)
    timer = setTimeout(connect, waitMs)
    waitMs = Math.min(waitMs * 1.5, mostRetryMs)
  }

  async function read(reader, own) {
    const decoder = new TextDecoder()
    let text = ''
    let watchdog
    try {
      for (;;) {
        watchdog = setTimeout(() => own.abort(), silenceMs)
        const { done, value } = await reader.read()
        clearTimeout(watchdog)
        if (done) return
        text += decoder.decode(value, { stream: true })
        const parts = text.split('\n\n')
        text = parts.pop()
        for (const part of parts) take(part)
      }
    } finally {
      clearTimeout(watchdog)
    }
  }

  function take(part) {
    const fields = Object.fromEntries(
      part.split('\n').map((line) => {
        const at = line.indexOf(': ')
        return [line.slice(0, at), line.slice(at + 2)]
      }),
    )
    if (fields.event && fields.data) handlers.message(fields.event, JSON.parse(fields.data))
  }

  function open() {
    wanted = true
    waitMs = firstRetryMs
    void connect()
  }

  return {
    open,
    /** @param {string | undefined} next */
    openWith(next) {
      token = next
      open()
    },
    hasToken: () => token !== undefined,
    isOpen: () => wanted,
    close() {
      wanted = false
      clearTimeout(timer)
      attempt?.abort()
    },
  }
}
