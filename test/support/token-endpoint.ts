import { once } from 'node:events'
import http from 'node:http'
import { listenOnOwnPort } from './ports.ts'

export interface TokenRequest {
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export interface TokenEndpoint {
  readonly url: string
  /** In the order they came. */
  readonly requests: readonly TokenRequest[]
  stop(): Promise<void>
}

export interface TokenReply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export const pair = {
  access_token: 'header.payload.signature',
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: 'refresh',
  scope: 'profile',
  created_at: '2026-11-23T09:00:00.000Z',
}

/** A stand-in for the gateway's `/tokens/create`, where a test needs replies that the gateway would not give. */
export async function startTokenEndpoint(
  answer: (request: TokenRequest) => TokenReply | undefined = () => ({ body: JSON.stringify(pair) }),
): Promise<TokenEndpoint> {
  const requests: TokenRequest[] = []
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url = '', headers } = request
    const received = { method, url, headers, body: Buffer.concat(chunks).toString() }
    requests.push(received)
    const reply = answer(received)
    // None: it keeps silent.
    if (reply === undefined) return
    response.writeHead(reply.status ?? 200, { 'Content-Type': 'application/json', ...reply.headers })
    response.end(reply.body)
  })
  const port = await listenOnOwnPort(server)
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async stop() {
      const closed = once(server.close(), 'close')
      server.closeAllConnections()
      await closed
    },
  }
}
