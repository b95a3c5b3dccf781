import type { ProviderOff } from './provider.ts'
import type { ProviderListReply } from './schemas.ts'
import type { OAuthStep } from './state.ts'

export interface ProviderListOptions {
  readonly configured: readonly { readonly name: string; readonly title: string }[]
  readonly off: readonly ProviderOff[]
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
}

/**
 * `GET /oauth/providers`: which there are, where their logins begin, and what those that are off lack. The names of
 * settings are no secret: the documentation has them.
 */
export function createProviderList({ configured, off, loginUrl }: ProviderListOptions): OAuthStep {
  const reply: ProviderListReply = {
    providers: [
      ...configured.map(({ name, title }) => ({ name, title, enabled: true, login_url: loginUrl(name) })),
      ...off.map(({ name, title, missing }) => ({ name, title, enabled: false, missing: [...missing] })),
    ],
  }
  return function listProviders(ctx) {
    ctx.body = reply
  }
}
