import { GatewayError } from '../../errors.ts'
import { normalScope } from '../../tokens/create.ts'
import type { Provider } from '../provider.ts'
import type { OAuthContext, OAuthStep } from '../state.ts'
import { errorReturnUrl, returnUrl } from './authorization-error.ts'
import type { LoginReturn } from './login-attempts.ts'
import { readQuery, refused } from './login-query.ts'
import { redirect, type SendAway } from './send-away.ts'

export interface AuthorizeOptions {
  readonly providers: ReadonlyMap<string, Provider>
  /** By id, each with its redirect URIs: see public-clients.ts. */
  readonly clients: ReadonlyMap<string, ReadonlySet<string>>
  readonly sendAway: SendAway
  /** What a login may be granted at the most. */
  readonly loginScope: string
  /** Lets somebody choose the provider. */
  readonly choice: (ctx: OAuthContext, choice: AuthorizeChoice) => void
}

/** Where each provider's button leads, and where the way back. */
interface AuthorizeChoice {
  readonly urlOf: (provider: string) => string
  readonly cancelUrl: string
}

/**
 * `GET /oauth/authorize` (RFC 6749 §4.1.1 with RFC 7636): the door of standard OAuth clients to the same logins. With
 * `provider` it goes straight on, without it a page asks which.
 *
 * Whose client or redirect URI is not known is told so here and never sent on (§4.1.2.1, RFC 9700 §4.11); every other
 * error is the client's to show.
 *
 * @throws GatewayError `invalid_request`
 */
export function createAuthorize(options: AuthorizeOptions): OAuthStep {
  const { providers, clients, sendAway, loginScope, choice } = options

  return async function authorize(koaCtx) {
    const ctx = koaCtx as unknown as OAuthContext
    const asked = new URLSearchParams(ctx.querystring)
    const [clientId, returnTo] = [one(asked, 'client_id'), one(asked, 'redirect_uri')]
    const redirectUris = clients.get(clientId)
    if (redirectUris === undefined) {
      throw refused(`client_id: expected ${[...clients.keys()].join(' or ')}.`)
    }
    if (!redirectUris.has(returnTo)) {
      throw refused("redirect_uri: expected one of the client's, character by character.")
    }
    const states = asked.getAll('state')
    let back: Pick<LoginReturn, 'returnTo' | 'returnState'> = { returnTo, returnState: undefined }
    try {
      const returnState = states.length === 1 ? states[0] || undefined : undefined
      if (returnState !== undefined && !/^[\x20-\x7e]{1,512}$/.test(returnState)) {
        throw refused('state: expected at most 512 visible ASCII characters.')
      }
      back = { returnTo, returnState }
      const query = readQuery(ctx.querystring)
      const { codeChallenge, scope } = readRequest(query, loginScope)
      const name = query.get('provider')
      if (name === undefined) return choice(ctx, choiceOf(ctx, back))
      const provider = providers.get(name)
      if (provider === undefined) throw refused(`provider: expected ${[...providers.keys()].join(' or ')}.`)
      await sendAway(ctx, provider, { ...back, returnState, codeChallenge, client: { id: clientId, scope } })
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      ctx.state.errorCode = error.code
      redirect(ctx, errorReturnUrl(back, error))
    }
  }
}

function choiceOf(
  { path, querystring }: OAuthContext,
  back: Pick<LoginReturn, 'returnTo' | 'returnState'>,
): AuthorizeChoice {
  return {
    urlOf(provider) {
      const query = new URLSearchParams(querystring)
      query.set('provider', provider)
      return `${path}?${query}`
    },
    cancelUrl: returnUrl(back, { error: 'access_denied', description: 'The login was cancelled.' }),
  }
}

/** The parameter, where it came once. */
function one(query: URLSearchParams, name: string): string {
  const values = query.getAll(name)
  if (values.length > 1) throw refused(`${name}: expected once.`)
  return values[0] ?? ''
}

/** @throws GatewayError `invalid_request`, `unsupported_response_type`, `invalid_scope` */
function readRequest(query: ReadonlyMap<string, string>, loginScope: string) {
  const responseType = query.get('response_type')
  if (responseType === undefined) throw refused('response_type: expected code.')
  if (responseType !== 'code') {
    throw new GatewayError('unsupported_response_type', { detail: 'response_type: expected code.' })
  }
  // RFC 7636 §4.3: without a method it is plain, which shows everybody what should be kept.
  if (query.get('code_challenge_method') !== 'S256') throw refused('code_challenge_method: expected S256.')
  const codeChallenge = query.get('code_challenge')
  if (codeChallenge === undefined || !/^[A-Za-z0-9_-]{43}$/.test(codeChallenge)) {
    throw refused('code_challenge: expected 43 characters of base64url, the SHA-256 of a code_verifier.')
  }
  return { codeChallenge, scope: granted(query.get('scope'), loginScope) }
}

/** RFC 6749 §3.3: what is asked for beyond what there is counts as not asked for, and the token's reply says so. */
function granted(wanted: string | undefined, loginScope: string): string {
  if (wanted === undefined) return loginScope
  const known = new Set(loginScope.split(' '))
  const scope = normalScope(
    wanted
      .split(' ')
      .filter((one) => known.has(one))
      .join(' '),
  )
  if (scope !== '' || loginScope === '') return scope
  throw new GatewayError('invalid_scope', { detail: `scope: expected some of ${loginScope}` })
}
