import type { Provider } from '../provider.ts'
import type { RedirectUris } from '../redirect-uris.ts'
import type { OAuthContext } from '../state.ts'
import { type LoginAttempts, type LoginReturn, newSecrets } from './login-attempts.ts'
import type { LoginCookie } from './login-cookie.ts'

export interface SendAwayOptions {
  readonly attempts: Pick<LoginAttempts, 'begin'>
  readonly cookie: Pick<LoginCookie, 'keep'>
  readonly redirectUris: Pick<RedirectUris, 'callback'>
}

/** Begins a login: sends a browser to the provider, and keeps where it is to go in the end. */
export type SendAway = (ctx: OAuthContext, provider: Provider, back: LoginReturn) => Promise<void>

export function createSendAway({ attempts, cookie, redirectUris }: SendAwayOptions): SendAway {
  return async function sendAway(ctx, provider, back) {
    const secrets = newSecrets()
    const url = await provider.authorizationUrl({
      ...secrets,
      redirectUri: redirectUris.callback(provider.name),
    })
    const browserHash = cookie.keep(ctx)
    await attempts.begin({ ...back, secrets, browserHash, provider: provider.name })
    redirect(ctx, url.href)
  }
}

/** Whither nothing is told of whence: addresses here bear states and codes. */
export function redirect(ctx: OAuthContext, location: string): void {
  ctx.status = 302
  ctx.set('Location', location)
  ctx.set('Referrer-Policy', 'no-referrer')
  ctx.body = ''
}
