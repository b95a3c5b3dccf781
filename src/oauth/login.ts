import type { Database } from '../persistence/database.ts'
import type { Sealer } from '../persistence/sealer.ts'
import type { Open } from '../tokens/create.ts'
import type { Provider } from './provider.ts'
import type { RedirectUris } from './redirect-uris.ts'
import type { OAuthStep } from './state.ts'
import type { Vault } from './vault.ts'

export interface LoginOptions {
  readonly database: Pick<Database, 'run' | 'transaction'>
  readonly sealer: Sealer
  readonly providers: ReadonlyMap<string, Provider>
  readonly redirectUris: RedirectUris
  readonly vault: Pick<Vault, 'store'>
  /** Begins a session of the gateway's own. */
  readonly open: Open
  readonly publicUrl: string
  readonly routePrefix: string
  /** LOGIN_RETURN_URLS; the gateway's own login page is always among them. */
  readonly returnUrls: readonly string[]
  readonly loginScope: string
  readonly linkVerifiedEmail: readonly string[]
}

/** A login by a provider, step by step: see docs/oauth.md. */
export interface LoginEndpoints {
  /** `GET /oauth/:provider/login?return_to=&state=&code_challenge=` */
  readonly login: OAuthStep
  /** `GET /oauth/:provider/callback` */
  readonly callback: OAuthStep
  /** `POST /oauth/login/complete {code, code_verifier?, connect?}` */
  readonly complete: OAuthStep
}

/** @param act finds out whose token a request bears: for `connect`, which adds an account to a user's own */
export function createLoginEndpoints(_options: LoginOptions, _act: OAuthStep): LoginEndpoints {
  throw new Error('to come')
}
