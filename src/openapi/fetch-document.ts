import { Agent, type Dispatcher, request } from 'undici'
import type { Json } from './json.ts'

/** Why a service's document could not be had: words that may be shown to anybody, without an address. */
export class DocumentUnavailable extends Error {
  override name = 'DocumentUnavailable'
}

export interface DocumentLimits {
  readonly timeoutMs: number
  readonly maxBytes: number
}

/** The connections documents are fetched over: short-lived, never those of proxied requests. */
export function createDocumentAgent({ timeoutMs, maxBytes }: DocumentLimits): Dispatcher {
  return new Agent({
    keepAliveTimeout: 1000,
    maxResponseSize: maxBytes,
    connect: { timeout: timeoutMs },
  })
}

/**
 * Fetches one JSON document. Redirects are not followed: they would let a service make the gateway ask
 * wherever it likes.
 *
 * @throws DocumentUnavailable, or the signal's reason where `signal` aborts
 */
export async function fetchDocument(
  url: URL,
  agent: Dispatcher,
  limits: DocumentLimits,
  signal: AbortSignal,
): Promise<Json> {
  const deadline = AbortSignal.timeout(limits.timeoutMs)
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      headers: { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'munjigi' },
      signal: AbortSignal.any([deadline, signal]),
    })
    const refusal = refuse(statusCode, headers)
    if (refusal !== undefined) {
      // Nobody will read it; destroying it closes the connection rather than receive the rest.
      body.on('error', () => {}).destroy()
      throw new DocumentUnavailable(refusal)
    }
    return parse(await body.bytes())
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error instanceof DocumentUnavailable
      ? error
      : new DocumentUnavailable(explain(error, limits, deadline))
  }
}

function refuse(status: number, headers: NodeJS.Dict<string | string[]>): string | undefined {
  if (status >= 300 && status < 400) return `was answered with a redirect (${status}), which is not followed`
  if (status !== 200) return `was answered with status ${status}`
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    return `came with the content coding ${shown(encoding)}, which was not asked for`
  const type = String(headers['content-type'] ?? '')
    .split(';')[0]!
    .trim()
  if (/^application\/(?:[\w.!#$&^-]+\+)?json$/i.test(type)) return undefined
  return type === '' ? 'came without a content type' : `came as ${shown(type)}; only JSON is read`
}

function parse(bytes: Uint8Array): Json {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json
  } catch {
    throw new DocumentUnavailable('is not valid JSON')
  }
}

function explain(error: unknown, limits: DocumentLimits, deadline: AbortSignal): string {
  if (deadline.aborted) return `was not there within ${limits.timeoutMs / 1000} s`
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return `is larger than ${limits.maxBytes} bytes`
  return `cannot be fetched${/^[A-Z_]+$/.test(code) ? ` (${code})` : ''}`
}

const shown = (text: unknown) => JSON.stringify(String(text).slice(0, 60))
