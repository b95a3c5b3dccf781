import type { ClientAuth, ServerMetadata } from 'openid-client'
import type { CodeRequest, Provider, ProviderProfile, ProviderTokens, ProviderTools } from '../provider.ts'
import { createOAuthClient, type Parameters, type Tokens } from './client.ts'
import { createVerifyIdToken, type IdTokenClaims, isOfAnother, type VerifyIdToken } from './id-token.ts'
import { type RawProfile, toProfile } from './profile.ts'
import { createProviderErrors, type ProviderErrors } from './provider-errors.ts'
import {
  type Answer,
  createProviderFetch,
  type ProviderFetch,
  type Question,
  type ReadRefusal,
} from './provider-fetch.ts'
import type { Endpoints } from './provider-settings.ts'

/** How one provider differs from the others. */
export interface Dialect {
  /** Whether it takes a PKCE challenge (RFC 7636). */
  readonly pkce: boolean
  /** What scopes are separated with; a space unless it says so. */
  readonly requestSeparator?: ','
  readonly replySeparator?: ','
  /** Further parameters for the page where the user says yes. */
  readonly authorization?: Parameters
  /** Whether the user must be asked for `offline_access` each time, or there is no refresh token (Core §11). */
  readonly consentsToOffline?: boolean
  /** Further parameters of the exchange of a code. */
  readonly exchangeParameters?: (request: CodeRequest) => Parameters
  /** Whether its token endpoint may answer form-encoded. */
  readonly formReplies?: boolean
  /** Gives a token reply the members that it leaves out. */
  readonly complete?: (body: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
  /** How it says no, where that is not RFC 6749 §5.2's way. */
  readonly readRefusal?: ReadRefusal
  /** What is done with new tokens before they are kept. */
  readonly afterExchange?: (asking: Asking, tokens: ProviderTokens) => Promise<ProviderTokens>
  readonly profile: (
    asking: Asking,
    tokens: ProviderTokens,
    claims: IdTokenClaims | undefined,
  ) => Promise<RawProfile>
  /** Where tokens are not renewed with a refresh token (RFC 6749 §6). */
  readonly renew?: {
    can(tokens: ProviderTokens): boolean
    refresh(asking: Asking, tokens: ProviderTokens): Promise<ProviderTokens>
  }
  /** Those that can be renewed are, after so many days without use. */
  readonly keepAliveDays?: number
  /** Left out where it has no way to end a grant. */
  readonly revoke?: (
    asking: Asking,
    tokens: ProviderTokens,
    profile: Pick<ProviderProfile, 'id'>,
  ) => Promise<'done' | 'unsupported'>
}

/** Where a provider is found, and what it says of itself. */
export interface Located {
  readonly endpoints: Readonly<Partial<Endpoints>> & Pick<Endpoints, 'authorization' | 'token'>
  /** Those whose `iss` is accepted in ID tokens; the first is the one of callbacks (RFC 9207). */
  readonly issuers: readonly string[]
  /** Whether every callback of its names it (RFC 9207 §3). */
  readonly namesItself: boolean
  /** Asked for; space-separated. */
  readonly scope: string
  readonly authentication: ClientAuth
}

export interface Account {
  readonly title: string
  readonly name: string
  readonly clientId: string
  /** Empty for a public client. */
  readonly clientSecret: string
  readonly dialect: Dialect
  readonly locate: (asking: LocateTools) => () => Promise<Located>
}

/** What finding a provider takes. */
export interface LocateTools {
  readonly fetch: ProviderFetch
  readonly errors: ProviderErrors
  readonly timeoutMs: number
  readonly now: () => number
}

/** How a dialect asks its provider. */
export interface Asking {
  readonly clientId: string
  readonly clientSecret: string
  readonly endpoints: Located['endpoints']
  readonly errors: ProviderErrors
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** @throws GatewayError as ProviderFetch.demand does, where the answer is a no */
  demand(question: Question): Promise<Answer>
  /** The answer, be it a no; `refuse` makes the error of it. */
  ask(question: Question): Promise<Answer>
  refuse(question: Question, answer: Answer): never
  /** A grant of the provider's own kind, at its token endpoint. */
  grant(kind: 'exchange' | 'refresh', grantType: string, parameters: Parameters): Promise<ProviderTokens>
  refresh(refreshToken: string): Promise<ProviderTokens>
  /** RFC 7009. */
  revokeToken(tokens: ProviderTokens): Promise<void>
}

const daySeconds = 24 * 60 * 60

/** One provider, by how its dialect differs from the standards. */
export function createDialectProvider(account: Account, tools: ProviderTools): Provider {
  const { name, title, clientId, clientSecret, dialect } = account
  const { timeoutMs, now = Date.now } = tools
  const errors = createProviderErrors(title, timeoutMs)
  const fetch = createProviderFetch({
    errors,
    timeoutMs,
    readRefusal: dialect.readRefusal ?? (() => undefined),
    formReplies: dialect.formReplies ?? false,
    secrets: clientSecret === '' ? [] : [clientSecret],
  })
  const locate = account.locate({ fetch, errors, timeoutMs, now })
  const verifiers = new Map<string, VerifyIdToken>()

  function clientOf({ authentication }: Located) {
    const { pkce, replySeparator: scopeSeparator = ' ', complete = (body) => body } = dialect
    return createOAuthClient({
      title,
      clientId,
      authentication,
      fetch,
      errors,
      pkce,
      scopeSeparator,
      complete,
      now,
    })
  }

  /** Its keys are kept for as long as they are found in the same place. */
  function verifierOf({ issuers, endpoints: { jwks } }: Located): VerifyIdToken {
    if (jwks === undefined) throw errors.badResponse('issues ID tokens but no keys to verify them with')
    const key = [jwks, ...issuers].join(' ')
    const known = verifiers.get(key)
    if (known !== undefined) return known
    verifiers.clear()
    const made = createVerifyIdToken({ clientId, issuers, jwksUrl: jwks, fetch, errors, timeoutMs, now })
    verifiers.set(key, made)
    return made
  }

  /** @param deadline of the next question, or the one of them all */
  function askingOf(located: Located, deadline: () => AbortSignal): Asking {
    const client = clientOf(located)
    const server = metadata(located)
    return {
      clientId,
      clientSecret,
      endpoints: located.endpoints,
      errors,
      now,
      demand: (question) => fetch.demand(question, deadline()),
      ask: (question) => fetch.ask(question, deadline()),
      refuse(question, answer) {
        throw fetch.refusal(question, answer) ?? errors.badResponse('has answered what was not asked')
      },
      grant: async (kind, grantType, parameters) =>
        (await client.grant(server, kind, grantType, parameters, deadline())).tokens,
      refresh: async (refreshToken) => (await client.refresh(server, refreshToken, deadline())).tokens,
      revokeToken({ refreshToken, accessToken }) {
        const hint = refreshToken === undefined ? 'access_token' : 'refresh_token'
        return client.revoke(server, refreshToken ?? accessToken, hint, deadline())
      },
    }
  }

  /** Each question has its own time. */
  const asking = async () => {
    const located = await locate()
    return { located, asking: askingOf(located, () => AbortSignal.timeout(timeoutMs)) }
  }

  async function claimsOf(located: Located, { idToken }: Tokens, nonce: string | undefined) {
    if (!isOpenId(located)) return undefined
    if (idToken === undefined) throw errors.badResponse('has sent no ID token, though it was asked for one')
    return verifierOf(located)(idToken, nonce)
  }

  const canRefresh = dialect.renew?.can ?? (({ refreshToken }: ProviderTokens) => refreshToken !== undefined)

  return {
    name,
    title,
    canRefresh,

    async authorizationUrl(request) {
      const located = await locate()
      const { scope } = located
      const { authorization, requestSeparator = ' ' } = dialect
      return clientOf(located).authorizationUrl(metadata(located), request, {
        ...(scope !== '' && { scope: scope.split(/ +/).join(requestSeparator) }),
        ...(isOpenId(located) && { nonce: request.nonce }),
        ...authorization,
        ...(dialect.consentsToOffline && hasScope(scope, 'offline_access') && { prompt: 'consent' }),
      })
    },

    async exchange(request) {
      const { located, asking: ask } = await asking()
      const parameters = dialect.exchangeParameters?.(request) ?? {}
      const deadline = AbortSignal.timeout(timeoutMs)
      const granted = await clientOf(located).exchange(metadata(located), request, parameters, deadline)
      const claims = await claimsOf(located, granted, request.nonce)
      const tokens = (await dialect.afterExchange?.(ask, granted.tokens)) ?? granted.tokens
      const profile = toProfile(await dialect.profile(ask, tokens, claims))
      if (profile === undefined) throw errors.badResponse('has not said whose account it is')
      return { tokens, profile }
    },

    async refresh(tokens, profile) {
      // All of it together: whoever asks for this holds a lock meanwhile.
      const whole = AbortSignal.timeout(timeoutMs)
      const located = await locate()
      const ask = askingOf(located, () => whole)
      if (dialect.renew !== undefined) return dialect.renew.refresh(ask, tokens)
      const { refreshToken } = tokens
      if (refreshToken === undefined) throw errors.refused('refresh', { dead: true }, [])
      const renewed = await clientOf(located).refresh(metadata(located), refreshToken, whole)
      if (profile !== undefined && isOpenId(located) && isOfAnother(renewed.idToken, profile.id)) {
        throw errors.badResponse("has sent another user's tokens")
      }
      return renewed.tokens
    },

    keepAliveAt(tokens, refreshedAt) {
      if (dialect.keepAliveDays === undefined || !canRefresh(tokens)) return undefined
      const seconds = dialect.keepAliveDays * daySeconds
      // Those that are renewed by themselves must be alive for it.
      const life = dialect.renew === undefined ? Infinity : (tokens.expiresAt ?? Infinity) - refreshedAt
      return Math.floor(refreshedAt + Math.max(0, Math.min(seconds, life / 2)))
    },

    async revoke(tokens, profile) {
      if (dialect.revoke === undefined) return 'unsupported'
      return dialect.revoke((await asking()).asking, tokens, profile)
    },
  }
}

const hasScope = (scope: string, wanted: string) => scope.split(' ').includes(wanted)

/** Whether an ID token is asked for (OpenID Connect Core §3.1.2.1). */
const isOpenId = ({ scope, endpoints }: Located) => hasScope(scope, 'openid') && endpoints.jwks !== undefined

const metadata = ({ issuers, endpoints, namesItself }: Located): ServerMetadata => ({
  issuer: issuers[0] ?? new URL(endpoints.authorization).origin,
  authorization_endpoint: endpoints.authorization,
  token_endpoint: endpoints.token,
  ...(endpoints.revocation !== undefined && { revocation_endpoint: endpoints.revocation }),
  authorization_response_iss_parameter_supported: namesItself,
})
