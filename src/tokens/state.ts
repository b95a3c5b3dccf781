import type { Middleware, ParameterizedContext } from 'koa'
import type { DoorState } from '../door/state.ts'
import type { GatewayError } from '../errors.ts'

/** What the steps before an endpoint have found out. */
export interface TokenState extends DoorState {
  /** The members of the request's body, not yet looked at. */
  body: Readonly<Record<string, unknown>>
  client: Client | undefined
  /** What will be answered unless a client shows its secret: its address has had its share. */
  refusal?: GatewayError
}

/** Who asks, as far as it was said. */
export interface Client {
  readonly id: string
  /** Whether it has shown its secret; a client id alone is only a claim. */
  readonly authenticated: boolean
}

export type TokenStep = Middleware<TokenState>
export type TokenContext = ParameterizedContext<TokenState>
