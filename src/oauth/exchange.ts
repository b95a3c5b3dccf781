import type { Database } from '../persistence/database.ts'
import type { Provider } from './provider.ts'
import type { RedirectUris } from './redirect-uris.ts'
import type { OAuthStep } from './state.ts'
import type { Vault } from './vault.ts'

export interface ExchangeOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly providers: ReadonlyMap<string, Provider>
  readonly redirectUris: RedirectUris
  readonly vault: Pick<Vault, 'store'>
}

/** `POST /oauth`: a front end that has sent the browser to a provider itself brings the code. */
export function createExchange(_options: ExchangeOptions): OAuthStep {
  throw new Error('to come')
}
