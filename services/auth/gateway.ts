import { Problem } from './problem.ts'
import { type TokenPair, tokenPair } from './schemas.ts'

export interface GatewayOptions {
  /** Where the gateway's own endpoints are, with its ROUTE_PREFIX; asked for at each call. */
  readonly url: () => string
  readonly client: { readonly id: string; readonly secret: string }
  readonly timeoutMs?: number
  /** Told what the operator must know, without secrets. */
  readonly warn: (message: string) => void
}

interface TokenRequest {
  readonly subject: string
  readonly scope: string
  /** The caller's, so that both logs tell of it by one id; empty where there is none. */
  readonly requestId: string
}

/** The gateway as its client sees it. */
export interface Gateway {
  /**
   * Has a token pair minted.
   * @throws Problem `gateway_unavailable`: 503 (Retry-After) where it does not answer, 502 where it refuses
   */
  createTokens(request: TokenRequest): Promise<TokenPair>
}

export function createGateway({ url, client, timeoutMs = 5000, warn }: GatewayOptions): Gateway {
  // RFC 6749 §2.3.1: encoded as in a form, then as Basic credentials.
  const encode = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
  const credentials = Buffer.from(`${encode(client.id)}:${encode(client.secret)}`).toString('base64')

  return {
    async createTokens({ subject, scope, requestId }) {
      let reply: Response
      let body: unknown
      try {
        reply = await fetch(`${url()}/tokens/create`, {
          method: 'POST',
          redirect: 'error',
          signal: AbortSignal.timeout(timeoutMs),
          headers: {
            Authorization: `Basic ${credentials}`,
            'Content-Type': 'application/json',
            Accept: 'application/json',
            ...(requestId !== '' && { 'X-Request-Id': requestId }),
          },
          body: JSON.stringify({ subject, scope }),
        })
        body = await reply.json().catch(unlessAborted)
      } catch (error) {
        warn(`GATEWAY_URL: the gateway does not answer (${reasonOf(error)})`)
        throw away()
      }
      if (reply.status === 503 || reply.status === 429) {
        warn(`the gateway issues no token just now: ${reply.status}`)
        throw away(reply.headers.get('retry-after'))
      }
      const pair = tokenPair.safeParse(body)
      if (reply.ok && pair.success) return pair.data
      const hint =
        reply.status === 401 ? ' (AUTH_CLIENT_ID and AUTH_CLIENT_SECRET must be a client of it)' : ''
      warn(`the gateway issued no token: ${reply.status}${hint}`)
      throw new Problem(502, 'gateway_unavailable', { detail: 'The gateway issued no token.' })
    },
  }
}

function away(retryAfter?: string | null): Problem {
  const seconds = /^\d{1,5}$/.test(retryAfter ?? '') ? String(retryAfter) : '1'
  return new Problem(503, 'gateway_unavailable', {
    detail: 'The gateway issues no tokens just now.',
    headers: { 'Retry-After': seconds },
  })
}

/** A reply that is no JSON is judged by its status; one that never ended is not. */
function unlessAborted(error: unknown): undefined {
  if (error instanceof SyntaxError) return undefined
  throw error
}

/** `ECONNREFUSED`, `TimeoutError`: never a message, which may quote what was sent. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code } = (error.cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : error.name
}
