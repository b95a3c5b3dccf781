import {
  allowInsecureRequests,
  buildAuthorizationUrl,
  type ClientAuth,
  Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  genericGrantRequest,
  refreshTokenGrant,
  type ServerMetadata,
  tokenRevocation,
} from 'openid-client'
import { GatewayError } from '../../errors.ts'
import type { AuthorizationRequest, CodeRequest, ProviderTokens } from '../provider.ts'
import type { ProviderErrors, QuestionKind } from './provider-errors.ts'
import type { ProviderFetch } from './provider-fetch.ts'
import { type TokenReply, toTokens } from './token-reply.ts'

export interface OAuthClientOptions {
  readonly title: string
  readonly clientId: string
  readonly authentication: ClientAuth
  readonly fetch: ProviderFetch
  readonly errors: ProviderErrors
  /** Whether the provider takes a PKCE challenge (RFC 7636). */
  readonly pkce: boolean
  /** What it separates scopes with in its replies. */
  readonly scopeSeparator: ' ' | ','
  /** Gives a token reply the members that this provider leaves out. */
  readonly complete: (body: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
  readonly now: () => number
}

export interface Tokens {
  readonly tokens: ProviderTokens
  /** Not verified yet. */
  readonly idToken: string | undefined
}

export type Parameters = Readonly<Record<string, string>>

/** The one OAuth client of all providers: openid-client, with our fetch beneath it and our errors above. */
export interface OAuthClient {
  authorizationUrl(
    server: ServerMetadata,
    request: AuthorizationRequest,
    parameters: Parameters,
  ): Promise<URL>
  /** @throws GatewayError `invalid_request` where the callback came from another issuer than this (RFC 9207) */
  exchange(
    server: ServerMetadata,
    request: CodeRequest,
    parameters: Parameters,
    deadline: AbortSignal,
  ): Promise<Tokens>
  refresh(server: ServerMetadata, refreshToken: string, deadline: AbortSignal): Promise<Tokens>
  /** A grant of the provider's own kind. */
  grant(
    server: ServerMetadata,
    kind: 'exchange' | 'refresh',
    grantType: string,
    parameters: Parameters,
    deadline: AbortSignal,
  ): Promise<Tokens>
  /** RFC 7009; a token that is not known is revoked. */
  revoke(server: ServerMetadata, token: string, hint: string, deadline: AbortSignal): Promise<void>
}

export function createOAuthClient(options: OAuthClientOptions): OAuthClient {
  const { title, clientId, authentication, fetch, errors, pkce, scopeSeparator, complete, now } = options

  /**
   * One of its own for each call, since that is where openid-client keeps its fetch. Whether http will do has been
   * decided where the endpoints were configured. ID tokens are taken out: they are verified apart (id-token.ts).
   */
  function configure(server: ServerMetadata, kind: QuestionKind, deadline: AbortSignal) {
    const configuration = new Configuration(server, clientId, {}, authentication)
    allowInsecureRequests(configuration)
    configuration.timeout = 0
    const asked = { idToken: undefined as string | undefined }
    configuration[customFetch] = async (url, { method, headers, body }) => {
      const question = { kind, url, method: method as 'POST', headers, body: String(body) }
      const answer = await fetch.demand(question, deadline)
      // Null is what some write for what they leave out; a reply that is refused for it would be a token that is lost.
      const members = Object.entries(answer.body ?? {}).filter(([, value]) => value !== null)
      const { id_token, ...rest } = complete(Object.fromEntries(members))
      if (typeof id_token === 'string') asked.idToken = id_token
      return Response.json(rest)
    }
    return { configuration, asked }
  }

  async function ask(
    server: ServerMetadata,
    kind: 'exchange' | 'refresh',
    deadline: AbortSignal,
    grant: (configuration: Configuration) => Promise<TokenReply>,
  ): Promise<Tokens> {
    const { configuration, asked } = configure(server, kind, deadline)
    const reply = await grant(configuration).catch((error: unknown) => {
      throw errors.from(error)
    })
    const tokens = toTokens(reply, scopeSeparator, now())
    if (tokens === undefined) throw errors.badResponse('has sent tokens that cannot be used')
    return { tokens, idToken: asked.idToken }
  }

  return {
    async authorizationUrl(server, { redirectUri, state, codeVerifier }, parameters) {
      const { configuration } = configure(server, 'discovery', AbortSignal.abort())
      return buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        state,
        ...(pkce && {
          code_challenge: await calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
        }),
        ...parameters,
      })
    },

    exchange(server, { code, redirectUri, codeVerifier, issuer, nonce }, parameters, deadline) {
      checkIssuer(server, issuer, nonce !== undefined)
      // Not authorizationCodeGrant: it would read the redirect_uri out of an address, and write it anew.
      const given = {
        code,
        redirect_uri: redirectUri,
        ...(pkce && codeVerifier !== undefined && { code_verifier: codeVerifier }),
        ...parameters,
      }
      return ask(server, 'exchange', deadline, (configuration) =>
        genericGrantRequest(configuration, 'authorization_code', given),
      )
    },

    refresh: (server, refreshToken, deadline) =>
      ask(server, 'refresh', deadline, (configuration) => refreshTokenGrant(configuration, refreshToken)),

    grant: (server, kind, grantType, parameters, deadline) =>
      ask(server, kind, deadline, (configuration) =>
        genericGrantRequest(configuration, grantType, parameters),
      ),

    async revoke(server, token, hint, deadline) {
      const { configuration } = configure(server, 'revocation', deadline)
      await tokenRevocation(configuration, token, { token_type_hint: hint }).catch((error: unknown) => {
        throw errors.from(error)
      })
    },
  }

  /** @param begunHere whether the callback was ours: then an `iss` that the provider announces must be there */
  function checkIssuer(server: ServerMetadata, issuer: string | undefined, begunHere: boolean): void {
    const isMissing = issuer === undefined
    if (isMissing && !(begunHere && server.authorization_response_iss_parameter_supported === true)) return
    if (issuer === server.issuer) return
    throw new GatewayError('invalid_request', {
      detail: `The code ${isMissing ? 'does not say from whom it is' : `is not from ${title}`} (RFC 9207: iss).`,
    })
  }
}
