import type { Environment, SourceVariables } from '../discovery/source.ts'

/** What a provider granted: tokens of a user's account there. */
export interface ProviderTokens {
  readonly accessToken: string
  /** As it is written in front of the token: `Bearer`. */
  readonly tokenType: string
  /** Undefined where the reply had none: one that is stored already stays good. */
  readonly refreshToken: string | undefined
  /** Seconds since the epoch; undefined for one that does not expire. */
  readonly expiresAt: number | undefined
  /** Space-separated, whatever the provider separates with; undefined where it did not say. */
  readonly scope: string | undefined
}

/** Whose account it is, as the provider says. */
export interface ProviderProfile {
  /** The provider's name for the user: unique there, and never another's later. */
  readonly id: string
  readonly name?: string
  readonly email?: string
  /** Whether the provider vouches for the address. */
  readonly emailVerified: boolean
  readonly picture?: string
}

export interface Grant {
  readonly tokens: ProviderTokens
  readonly profile: ProviderProfile
}

/** Where a browser is sent to say yes. */
export interface AuthorizationRequest {
  readonly redirectUri: string
  readonly state: string
  /** Used by providers that issue ID tokens (OpenID Connect Core §3.1.2.1). */
  readonly nonce: string
  /** RFC 7636; the challenge is sent where the provider takes one. */
  readonly codeVerifier: string
}

/** A code that came back, and what it was asked for with. */
export interface CodeRequest {
  readonly code: string
  readonly redirectUri: string
  readonly state?: string | undefined
  readonly nonce?: string | undefined
  readonly codeVerifier?: string | undefined
  /** `iss` of the callback (RFC 9207), where there was one. */
  readonly issuer?: string | undefined
}

/**
 * One provider, ready to be asked: the differences between providers end here.
 *
 * Whatever asks the provider rejects with a GatewayError: `invalid_grant` where it says that the code or the refresh
 * token is not (or no longer) good; `provider_refused` for any other no; `provider_bad_response` for what cannot be
 * understood; `provider_unreachable`; `provider_timeout`. Never with anything that the provider sent in it but its
 * error code.
 */
export interface Provider {
  /** As in URLs and settings. */
  readonly name: string
  /** As on a button. */
  readonly title: string
  authorizationUrl(request: AuthorizationRequest): Promise<URL>
  /** Exchanges a code and reads the profile. */
  exchange(request: CodeRequest): Promise<Grant>
  /** Whether these can be renewed without the user. */
  canRefresh(tokens: ProviderTokens): boolean
  /** @param profile whose they are: another user's are not taken */
  refresh(tokens: ProviderTokens, profile?: Pick<ProviderProfile, 'id'>): Promise<ProviderTokens>
  /**
   * When tokens that nobody uses must be renewed, or they would die of disuse; undefined for those that do not.
   * @param refreshedAt seconds since the epoch
   */
  keepAliveAt(tokens: ProviderTokens, refreshedAt: number): number | undefined
  /** Ends the grant there; `unsupported` where the provider has no way. One that it does not know any more is ended. */
  revoke(tokens: ProviderTokens, profile: Pick<ProviderProfile, 'id'>): Promise<'done' | 'unsupported'>
}

/** What a provider is made with. */
export interface ProviderTools {
  /** For each question asked of it. */
  readonly timeoutMs: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** A provider whose settings are complete. */
export interface ConfiguredProvider {
  readonly name: string
  readonly title: string
  create(tools: ProviderTools): Provider
}

/** One that is known but not configured, and what it lacks. */
export interface ProviderOff {
  readonly name: string
  readonly title: string
  /** The variables that would turn it on. */
  readonly missing: readonly string[]
}

/** What a kind of provider made of the environment. */
export interface ProviderReading {
  readonly configured: readonly ConfiguredProvider[]
  readonly off: readonly ProviderOff[]
  readonly faults: readonly { readonly variable: string; readonly expected: string }[]
}

/** A provider as it stands in the index: it reads its own settings, so nothing central grows. */
export interface ProviderKind {
  readonly name: string
  /** The environment variables it reads, for the documentation. */
  readonly variables: SourceVariables
  /** @param production whether http URLs of other machines are refused */
  read(environment: Environment, production: boolean): ProviderReading
}
