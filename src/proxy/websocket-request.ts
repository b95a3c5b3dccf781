import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { GatewayError } from '../errors.ts'
import type { Pass } from '../tokens/verified.ts'
import type { ForwardedIdentity } from './headers.ts'
import type { ProxyRoute } from './routes.ts'
import type { Upstream } from './upstreams.ts'

/** How a WebSocket ended, for the access log. */
export interface WebSocketOutcome {
  /** 101 for one that was relayed, otherwise what the house or the gateway answered. */
  readonly status: number
  readonly attempts: number
  readonly upstream: Upstream | undefined
  readonly failure: GatewayError | undefined
}

/** A handshake that the door has let through. */
export interface WebSocketRequest {
  readonly incoming: IncomingMessage
  /** The client's connection, and what it sent right behind the handshake. */
  readonly socket: Duplex
  readonly head: Buffer
  readonly route: ProxyRoute
  readonly identity: ForwardedIdentity
  /** Who is calling; undefined for nobody in particular. */
  readonly pass: Pass | undefined
  /** Answers with a problem on the bare socket. */
  readonly refuse: (error: GatewayError) => void
  readonly done: (outcome: WebSocketOutcome) => void
}
