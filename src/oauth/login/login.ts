import type { Database } from '../../persistence/database.ts'
import type { Sealer } from '../../persistence/sealer.ts'
import type { Open } from '../../tokens/create.ts'
import type { TokenStep } from '../../tokens/state.ts'
import type { Provider } from '../provider.ts'
import { createPublicClients } from '../public-clients.ts'
import type { RedirectUris } from '../redirect-uris.ts'
import type { OAuthStep } from '../state.ts'
import type { Vault } from '../vault/vault.ts'
import { createAuthorize } from './authorize.ts'
import { createAuthorizePage } from './authorize-page.ts'
import { type CallbackOptions, createCallback } from './callback.ts'
import { createComplete } from './complete.ts'
import { createLoginAttempts } from './login-attempts.ts'
import { createLoginCodes } from './login-codes.ts'
import { createLoginCookie } from './login-cookie.ts'
import { createLoginStart } from './login-start.ts'
import { createLoginSteps } from './login-steps.ts'
import { createRedeem } from './redeem.ts'
import { createSendAway } from './send-away.ts'
import { createToken } from './token.ts'

export interface LoginOptions {
  readonly database: Pick<Database, 'run' | 'transaction'>
  readonly sealer: Sealer
  readonly providers: ReadonlyMap<string, Provider>
  readonly redirectUris: RedirectUris
  readonly vault: Pick<Vault, 'store'>
  /** Begins a session of the gateway's own. */
  readonly open: Open
  /** `grant_type=refresh_token` */
  readonly refresh: TokenStep
  readonly publicUrl: string
  readonly routePrefix: string
  /** LOGIN_RETURN_URLS; the gateway's own login page is always among them. */
  readonly returnUrls: readonly string[]
  readonly loginScope: string
  readonly linkVerifiedEmail: readonly string[]
  /** See callback.ts. */
  readonly returned?: CallbackOptions['returned']
}

/** A login by a provider, step by step: see docs/oauth.md. */
export interface LoginEndpoints {
  /** The first step of the next two, which browsers take. */
  readonly showErrors: OAuthStep
  /** `GET /oauth/:provider/login?return_to=&state=&code_challenge=` */
  readonly login: OAuthStep
  /** `GET /oauth/:provider/callback` */
  readonly callback: OAuthStep
  /** `POST /oauth/login/complete {code, code_verifier?, connect?}` */
  readonly complete: OAuthStep
  /** `GET /oauth/authorize`, after `showErrors` */
  readonly authorize: OAuthStep
  /** `POST /oauth/token` */
  readonly token: OAuthStep
}

/** @param act finds out whose token a request bears: for `connect`, which adds an account to a user's own */
export function createLoginEndpoints(options: LoginOptions, act: OAuthStep): LoginEndpoints {
  const { publicUrl, routePrefix, redirectUris } = options
  const loginUrl = (provider: string) => `${publicUrl}${routePrefix}/oauth/${provider}/login`
  const attempts = createLoginAttempts(options)
  const codes = createLoginCodes(options)
  const cookie = createLoginCookie(publicUrl)
  const steps = createLoginSteps({ ...options, loginUrl })
  const sendAway = createSendAway({ attempts, cookie, redirectUris })
  const redeem = createRedeem({ ...options, codes })
  const clients = createPublicClients(options)
  const choice = createAuthorizePage({ publicUrl, providers: [...options.providers.values()] })
  const returnUrls = [`${publicUrl}${routePrefix}/login`, ...options.returnUrls] as const
  return {
    showErrors: steps.showErrors,
    login: steps.of(createLoginStart({ sendAway, returnUrls, loginUrl })),
    callback: steps.of(createCallback({ ...options, attempts, codes, cookie, loginUrl })),
    complete: createComplete({ redeem, cookie, act }),
    authorize: steps.ofAny(createAuthorize({ ...options, clients, sendAway, choice })),
    token: createToken({ redeem, clients, refresh: options.refresh }),
  }
}
