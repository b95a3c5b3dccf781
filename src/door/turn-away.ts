import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../errors.ts'
import type { Cors } from './cors.ts'
import { lingerAfterReply } from './linger.ts'
import type { Overload } from './overload.ts'
import { problemMediaType, toProblem } from './problem.ts'
import { requestId } from './request-id.ts'
import type { SecureReply } from './security-headers.ts'

/** A body of up to so many bytes is read and thrown away; beyond it a new connection is cheaper. */
const discardedBytes = 65_536

export interface TurnAwayOptions {
  readonly overload: Pick<Overload, 'turnsAway'>
  readonly cors: Pick<Cors, 'headersFor'> | undefined
  readonly secureReply: SecureReply
  readonly draining: () => boolean
}

/** What is said to those who are turned away. */
export function overloadedError(): GatewayError {
  return new GatewayError('overloaded', {
    detail: 'The gateway has more to do than it has time for.',
    headers: { 'Retry-After': '1' },
  })
}

/**
 * Answers a request that the gateway has no time for, before Koa hears of it: the reply is to cost as little as can
 * be. It is the problem document that the error boundary would have made. No line in the access log: there may be
 * thousands a second, just when there is no time (overload.ts counts them).
 *
 * @returns whether the request was answered
 */
export function createTurnAway(options: TurnAwayOptions) {
  const { overload, cors, secureReply, draining } = options
  const error = overloadedError()
  const always: string[] = ['Content-Type', problemMediaType, 'Cache-Control', 'no-store']
  for (const [name, value] of Object.entries(error.headers)) always.push(name, value)
  secureReply({ set: (headers) => void always.push(...Object.entries(headers).flat()) })

  return function turnAway(request: IncomingMessage, response: ServerResponse): boolean {
    if (!overload.turnsAway(request.url ?? '/')) return false
    const id = requestId(request.rawHeaders)
    const body = JSON.stringify(toProblem(error, id))
    const head = [...always, 'Content-Length', String(Buffer.byteLength(body)), 'X-Request-Id', id]
    if (cors !== undefined) head.push(...cors.headersFor(request.headers.origin))
    const unread = mayBeLong(request)
    if (unread || draining()) head.push('Connection', 'close')
    if (unread) lingerAfterReply(request, response)
    response.writeHead(error.status, error.title, head)
    response.end(body)
    return true
  }
}

/** Asks first (`Expect`), comes without a length or with a large one. */
function mayBeLong({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined || headers.expect !== undefined) return true
  return Number(headers['content-length'] ?? 0) > discardedBytes
}
