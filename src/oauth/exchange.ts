import type { Database } from '../persistence/database.ts'
import { checkBody, invalidRequest } from '../tokens/body.ts'
import { connectionReply } from './connection-reply.ts'
import type { Provider } from './provider.ts'
import type { RedirectUris } from './redirect-uris.ts'
import { exchangeSchema, redirectUriFault } from './schemas.ts'
import type { OAuthStep } from './state.ts'
import type { Vault } from './vault/vault.ts'

export interface ExchangeOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly providers: ReadonlyMap<string, Provider>
  readonly redirectUris: RedirectUris
  readonly vault: Pick<Vault, 'store'>
}

/**
 * `POST /oauth`: a front end that has sent the browser to a provider itself brings the code. The provider is asked
 * before a transaction begins: nothing waits for it, and nothing is written where it says no.
 */
export function createExchange({ database, providers, redirectUris, vault }: ExchangeOptions): OAuthStep {
  const names = [...providers.keys()].join(', ')

  return async function exchange(ctx) {
    const { subject } = ctx.state.actor
    const body = checkBody(exchangeSchema, ctx.state.body)
    const provider = providers.get(body.provider)
    if (provider === undefined) {
      const expected = names === '' ? 'none is configured at this gateway' : `expected one of ${names}`
      throw invalidRequest(`provider: ${expected}`)
    }
    const redirectUri = body.redirect_uri ?? redirectUris.callback(provider.name)
    if (!redirectUris.allows(provider.name, redirectUri)) throw invalidRequest(redirectUriFault)
    const grant = await provider.exchange({
      code: body.code,
      redirectUri,
      codeVerifier: body.code_verifier,
      state: body.state,
      nonce: body.nonce,
      issuer: body.iss,
    })
    const connection = await database.transaction((em) =>
      vault.store(em, { subject, provider: provider.name, grant }),
    )
    ctx.status = 201
    ctx.set('Location', `${ctx.path}/${connection.id}`)
    ctx.body = connectionReply(connection, { accessToken: connection.accessToken })
  }
}
