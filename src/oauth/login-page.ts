import type { OAuthStep } from './state.ts'

export interface LoginPageOptions {
  readonly publicUrl: string
  readonly routePrefix: string
  readonly providers: readonly { readonly name: string; readonly title: string }[]
  /** Whether it is a development gateway: then there is a dummy login, and tokens are printed on the console. */
  readonly development: boolean
}

/** `GET /login`: a button for each provider, and the page that a login returns to. */
export function createLoginPage(_options: LoginPageOptions): OAuthStep {
  throw new Error('to come')
}
