import { GatewayError } from '../errors.ts'
import type { Identity } from '../tokens/identity.ts'
import type { Pass } from '../tokens/verified.ts'
import type { Vault } from './vault/vault.ts'

/**
 * Gives the caller's own fresh token of a provider, for a house whose route asks for it.
 * @throws GatewayError (rejects with) `connection_required` (403) with a login link, or whatever `Vault.fresh` says
 */
type ProviderTokenOf = (identity: Identity, provider: string) => Promise<string>

export interface ProviderTokenOptions {
  readonly vault: Pick<Vault, 'latest' | 'fresh'>
  /** The gateway's own: a subject of another issuer's has no connections here. */
  readonly issuer: string
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
  readonly providers: ReadonlyMap<string, { readonly title: string }>
}

export function createProviderTokenOf(options: ProviderTokenOptions): ProviderTokenOf {
  const { vault, issuer, loginUrl, providers } = options

  function required(provider: string, detail: string): GatewayError {
    const isKnown = providers.has(provider)
    return new GatewayError('connection_required', {
      detail: isKnown ? detail : `The provider ${provider} is not configured at this gateway.`,
      ...(isKnown && { members: { login_url: loginUrl(provider) } }),
    })
  }

  return async (identity, provider) => {
    const title = providers.get(provider)?.title ?? provider
    if (identity.issuer !== issuer) {
      throw required(provider, `A user of this gateway with a connected ${title} account is asked for.`)
    }
    const connection = await vault.latest(identity.subject, provider)
    if (connection === undefined) throw required(provider, `The caller has connected no ${title} account.`)
    if (connection.state === 'needs_reauth') {
      throw required(provider, `The caller's ${title} account has to be connected anew.`)
    }
    try {
      return (await vault.fresh(connection)).accessToken
    } catch (error) {
      // It died, or was removed, just now.
      if (error instanceof GatewayError && isGone.has(error.code)) {
        throw required(provider, `The caller's ${title} account has to be connected anew.`)
      }
      throw error
    }
  }
}

const isGone: ReadonlySet<string> = new Set(['reauthorization_required', 'not_found'])

/**
 * Adds a provider's token to what a house is told of somebody whom the guard let pass.
 * @throws GatewayError (rejects with) what `ProviderTokenOf` says; `connection_required` where there is no vault
 */
export type Inject = (pass: Pass, provider: string) => Promise<Pass>

export interface InjectOptions {
  /** Undefined where there is no database, and so no vault. */
  readonly providerTokenOf: ProviderTokenOf | undefined
  /** Under which name a house is handed the token. */
  readonly header: string
}

/** What a route with `inject` asks for, once the guard and the route's limit have let the caller pass. */
export function createInject({ providerTokenOf, header }: InjectOptions): Inject {
  return async (pass, provider) => {
    if (providerTokenOf === undefined) {
      const detail = 'This gateway has no database (DATABASE_URL=none), and so keeps no connections.'
      throw new GatewayError('connection_required', { detail })
    }
    const token = await providerTokenOf(pass.identity, provider)
    return { ...pass, headers: [...pass.headers, header, token] }
  }
}
