import type { Middleware, ParameterizedContext } from 'koa'
import type { TokenState } from '../tokens/state.ts'

/** What the steps before an OAuth endpoint have found out. */
export interface OAuthState extends TokenState {
  /** For whom it is done; set by the step `act`. */
  actor: Actor
}

/** Whose connections may be seen and changed: a user's own, or those of the subject that a client named. */
export interface Actor {
  readonly subject: string
  readonly kind: 'user' | 'client'
}

export type OAuthStep = Middleware<OAuthState>
export type OAuthContext = ParameterizedContext<OAuthState> & {
  /** Of the path, by @koa/router. */
  readonly params: Readonly<Record<string, string>>
}
