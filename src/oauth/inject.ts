import { GatewayError } from '../errors.ts'
import type { Identity } from '../tokens/identity.ts'
import type { Vault } from './vault.ts'

/**
 * Gives the caller's own fresh token of a provider, for a house whose route asks for it.
 * @throws GatewayError (rejects with) `connection_required` (403) with a login link, or whatever `Vault.fresh` says
 */
export type ProviderTokenOf = (identity: Identity | undefined, provider: string) => Promise<string>

export interface InjectOptions {
  readonly vault: Pick<Vault, 'latest' | 'fresh'>
  /** The gateway's own: a subject of another issuer's has no connections here. */
  readonly issuer: string
  /** Where a login by the provider begins. */
  readonly loginUrl: (provider: string) => string
  readonly providers: ReadonlyMap<string, { readonly title: string }>
}

export function createProviderTokenOf(options: InjectOptions): ProviderTokenOf {
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
    if (identity === undefined || identity.issuer !== issuer) {
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
