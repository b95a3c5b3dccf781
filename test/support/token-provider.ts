import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { GatewayError } from '../../src/errors.ts'
import type { Grant, Provider } from '../../src/oauth/provider.ts'
import { listenOnOwnPort } from './ports.ts'

/** How the server below answers; may be changed at any time. */
export interface Behaviour {
  delayMs: number
  /** Of both endpoints; what is no 200 says `error`. */
  status: number
  error: string
  /** Whether a refresh token is good for one use and followed by another. */
  rotates: boolean
  expiresIn: number | undefined
  /** Of the revocation endpoint. */
  revokeStatus: number
}

/** A provider's token endpoint and revocation endpoint on a real socket. */
export interface TokenProvider {
  readonly url: string
  readonly behaviour: Behaviour
  /** Questions that came to the token endpoint. */
  refreshes(): number
  /** Refresh tokens that were revoked. */
  readonly revoked: readonly string[]
  /** Every token it has ever issued. */
  readonly issued: readonly string[]
  /** Logs an account in. @param expiresIn of this first access token, in seconds */
  grant(userId: string, expiresIn?: number): Grant
  /** Resolves at the next question to the token endpoint, before that is answered. */
  asked(): Promise<void>
}

export async function startTokenProvider(
  t: Pick<ExecutionContext, 'teardown'>,
  given: Partial<Behaviour> = {},
): Promise<TokenProvider> {
  const behaviour: Behaviour = {
    ...{ delayMs: 0, status: 200, error: 'server_error', rotates: true, expiresIn: 3600, revokeStatus: 200 },
    ...given,
  }
  const good = new Set<string>()
  const issued: string[] = []
  const revoked: string[] = []
  let refreshes = 0
  let waiting = Promise.withResolvers<void>()

  function issue(kind: 'access' | 'refresh'): string {
    const token = `issued-${kind}-${crypto.randomUUID()}`
    issued.push(token)
    if (kind === 'refresh') good.add(token)
    return token
  }

  const server = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const token = new URLSearchParams(body).get('token') ?? ''
    const isRefresh = request.url === '/token'
    if (isRefresh) {
      refreshes++
      waiting.resolve()
      waiting = Promise.withResolvers()
    }
    await delay(behaviour.delayMs)
    // Who has hung up has not got a new token, and keeps the old one.
    if (response.destroyed) return
    const answer = (status: number, reply: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply))
    }
    if (!isRefresh) {
      if (behaviour.revokeStatus === 200) revoked.push(token)
      return answer(behaviour.revokeStatus, {})
    }
    if (behaviour.status !== 200) return answer(behaviour.status, { error: behaviour.error })
    if (!good.has(token)) return answer(400, { error: 'invalid_grant' })
    if (behaviour.rotates) good.delete(token)
    answer(200, {
      access_token: issue('access'),
      expires_in: behaviour.expiresIn,
      ...(behaviour.rotates && { refresh_token: issue('refresh') }),
    })
  })
  const port = await listenOnOwnPort(server)
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${port}`,
    behaviour,
    refreshes: () => refreshes,
    revoked,
    issued,
    grant: (userId, expiresIn = 3600) => ({
      tokens: {
        accessToken: issue('access'),
        tokenType: 'Bearer',
        refreshToken: issue('refresh'),
        expiresAt: Math.floor(Date.now() / 1000) + expiresIn,
        scope: 'profile email',
      },
      profile: { id: userId, name: 'Ada', email: 'ada@example.com', emailVerified: true },
    }),
    asked: () => waiting.promise,
  }
}

/** A provider that asks such a server. */
export function createTestProvider(
  url: string,
  given: Partial<Provider> & { readonly timeoutMs?: number } = {},
): Provider {
  const { timeoutMs = 15_000, ...overrides } = given
  const signal = () => AbortSignal.timeout(timeoutMs)

  async function ask(path: string, token: string): Promise<Response> {
    const body = new URLSearchParams({ token })
    try {
      return await fetch(url + path, { method: 'POST', body, signal: signal() })
    } catch (error) {
      const isTimeout = error instanceof Error && error.name === 'TimeoutError'
      throw new GatewayError(isTimeout ? 'provider_timeout' : 'provider_unreachable')
    }
  }

  return {
    name: 'test',
    title: 'Test',
    authorizationUrl: () => Promise.reject(new Error('not here')),
    exchange: () => Promise.reject(new Error('not here')),
    canRefresh: ({ refreshToken }) => refreshToken !== undefined,
    async refresh({ refreshToken = '' }) {
      const response = await ask('/token', refreshToken)
      const reply = (await response.json()) as Record<string, string & number>
      if (!response.ok) {
        throw new GatewayError(reply.error === 'invalid_grant' ? 'invalid_grant' : 'provider_bad_response')
      }
      const { access_token, refresh_token, expires_in } = reply
      return {
        accessToken: access_token ?? '',
        tokenType: 'Bearer',
        refreshToken: refresh_token,
        expiresAt: expires_in === undefined ? undefined : Math.floor(Date.now() / 1000) + expires_in,
        scope: undefined,
      }
    },
    keepAliveAt: () => undefined,
    async revoke({ refreshToken, accessToken }) {
      const response = await ask('/revoke', refreshToken ?? accessToken)
      if (!response.ok) throw new GatewayError('provider_bad_response')
      return 'done'
    },
    ...overrides,
  }
}
