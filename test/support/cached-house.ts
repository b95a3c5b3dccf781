import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { ExecutionContext } from 'ava'
import { startGatewayFor, type TestGateway } from './gateway.ts'
import { type Reply, type RequestOptions, request } from './request.ts'
import { httpUpstream } from './upstream.ts'

/** A reply as a test writes it. */
export interface Told {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | number | readonly string[] | undefined>>
  readonly body?: string | Buffer
}

export interface CachedHouse {
  readonly gateway: TestGateway
  /** The house goes. */
  close(): Promise<void>
  /** Every request that the house has had. */
  readonly asked: readonly IncomingMessage[]
  /** Asks through the gateway, `/api/house` in front. */
  ask(path: string, options?: RequestOptions): Promise<Reply>
}

export type Answer =
  | readonly (Told | ((response: ServerResponse) => void))[]
  | ((incoming: IncomingMessage, response: ServerResponse) => void)

/**
 * A gateway in front of a house whose route has a cache. The house gives these replies one after the other, the last one
 * for ever, or answers as it is told.
 */
export async function cachedHouse(
  t: ExecutionContext,
  answer: Answer,
  description: Readonly<Record<string, unknown>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<CachedHouse> {
  const asked: IncomingMessage[] = []
  const house = await httpUpstream(t, (incoming, response) => {
    asked.push(incoming)
    incoming.resume()
    if (typeof answer === 'function') return answer(incoming, response)
    const told = answer[Math.min(asked.length, answer.length) - 1]!
    if (typeof told === 'function') return told(response)
    tell(response, told)
  })
  const gateway = await startGatewayFor(t, house.origin, { cache: '10m', ...description }, env)
  return {
    gateway,
    asked,
    close: house.close,
    ask: (path, options) => request(`${gateway.url}/api/house${path}`, options),
  }
}

export function tell(response: ServerResponse, { status = 200, headers = {}, body = '' }: Told): void {
  response.writeHead(status, headers as OutgoingHttpHeaders)
  response.end(body)
}
