import { once } from 'node:events'
import http from 'node:http'
import type { ExecutionContext } from 'ava'

export interface RequestOptions {
  readonly method?: string
  /** Names and values; a name may come several times. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
  readonly agent?: http.Agent
}

export interface Reply {
  readonly status: number
  readonly reason: string
  readonly headers: http.IncomingHttpHeaders
  /** Name, value, name, value …, as they came. */
  readonly rawHeaders: readonly string[]
  /** As latin1, so that every byte can be told. */
  readonly body: string
}

/** One request over a connection of its own (or the agent's). Rejects where the reply is cut off. */
export async function request(url: string, options: RequestOptions = {}): Promise<Reply> {
  const { method = 'GET', headers = {}, body, agent } = options
  const outgoing = http.request(url, {
    method,
    agent: agent ?? false,
    headers: headers as http.OutgoingHttpHeaders,
  })
  outgoing.end(body)
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return {
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body: Buffer.concat(chunks).toString('latin1'),
  }
}

/** The `code` of a problem reply. */
export function codeOf(reply: Pick<Reply, 'body'>): string {
  return (JSON.parse(reply.body) as { code: string }).code
}

/** One connection, kept open and used again. */
export function keepAliveAgent(t: ExecutionContext): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  return agent
}
