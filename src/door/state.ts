import type { RequestTrace } from '../observability/trace.ts'
import type { Exchange } from '../proxy/exchange.ts'
import type { Caller } from './forwarded.ts'

/** What the door knows of a request: Koa's `ctx.state`. */
export interface DoorState {
  requestId: string
  caller: Caller
  /** Undefined where there is none: traces are off, and the caller names none. */
  trace?: RequestTrace | undefined
  /** Checked and normalised; `-` until then. */
  path: string
  /** Set once the request has come to the proxy. */
  exchange?: Exchange
  /** Who is calling, once that is verified. */
  subject?: string
  /** Of the error that was answered, if any. */
  errorCode?: string
  /** Whether problem replies carry RFC 6749's members as well: those of the token endpoints do. */
  oauthErrors?: boolean
}
