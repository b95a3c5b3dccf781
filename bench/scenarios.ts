/** One kind of request that every relay is given. */
export interface Scenario {
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Sent with Content-Length; empty for none. */
  readonly body: string
  /** A file of tokens, one a line, that the requests bear in turn; for wrk only. */
  readonly tokens?: string
  /** Why the reply is wrong, or undefined. */
  readonly fault: (replyBody: string) => string | undefined
}

/** Every relay serves the origin under this prefix. */
export const PREFIX = '/api/bench'
/** The gateway serves it under this one as well, to callers with a token. */
export const GUARDED_PREFIX = '/api/guarded'

const POST_BYTES = 1024

export const scenarios: readonly Scenario[] = [
  {
    name: 'GET 200 B',
    method: 'GET',
    path: `${PREFIX}/small`,
    body: '',
    fault: (body) => expectBytes(body, 200),
  },
  {
    name: 'GET 64 KB',
    method: 'GET',
    path: `${PREFIX}/large`,
    body: '',
    fault: (body) => expectBytes(body, 64 * 1024),
  },
  {
    name: 'POST 1 KB',
    method: 'POST',
    path: `${PREFIX}/echo`,
    body: 'x'.repeat(POST_BYTES),
    fault: (body) =>
      (JSON.parse(body) as { received?: number }).received === POST_BYTES
        ? expectBytes(body, 200)
        : `the origin did not receive the body's ${POST_BYTES} bytes: ${body.slice(0, 60)}`,
  },
]

export function expectBytes(body: string, bytes: number): string | undefined {
  const { message } = JSON.parse(body) as { message?: string }
  if (body.length === bytes && message && /^x+$/.test(message)) return undefined
  return `expected the origin's ${bytes} bytes, got ${body.length}`
}

/** Sends each scenario once and returns what is wrong with the relay's reply, or undefined. */
export async function findFault(port: number, wanted = scenarios): Promise<string | undefined> {
  for (const { name, method, path, body, fault } of wanted) {
    const init = { method, signal: AbortSignal.timeout(5000), ...(body && { body }) }
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, init)
    const text = await reply.text()
    if (reply.status !== 200) return `${name}: status ${reply.status}, ${text.slice(0, 200)}`
    const wrong = fault(text)
    if (wrong) return `${name}: ${wrong}`
  }
  return undefined
}
