import type { ProviderOff } from './provider.ts'
import type { OAuthStep } from './state.ts'
import type { Vault } from './vault.ts'

export interface ConnectionsOptions {
  readonly vault: Vault
  /** Those that are configured, by name. */
  readonly providers: ReadonlyMap<string, { readonly title: string }>
}

/** What can be done with connections: each of these only ever sees those of `ctx.state.actor`. */
export interface ConnectionEndpoints {
  /** `GET /oauth?provider=&limit=&after=` */
  readonly list: OAuthStep
  /** `GET /oauth/:id` */
  readonly show: OAuthStep
  /** `POST /oauth/:id/refresh` */
  readonly refresh: OAuthStep
  /** `DELETE /oauth/:id` */
  readonly remove: OAuthStep
}

export function createConnectionEndpoints(_options: ConnectionsOptions): ConnectionEndpoints {
  throw new Error('to come')
}

export interface ProviderListOptions {
  readonly configured: readonly { readonly name: string; readonly title: string }[]
  readonly off: readonly ProviderOff[]
  readonly publicUrl: string
  readonly routePrefix: string
}

/** `GET /oauth/providers`: which there are, where their logins begin, and what those that are off lack. */
export function createProviderList(_options: ProviderListOptions): OAuthStep {
  throw new Error('to come')
}
