import type { ProviderTokens } from '../provider.ts'

/** The members of a token endpoint's reply that are used, as openid-client has judged them (RFC 6749 §5.1). */
export interface TokenReply {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in?: number | undefined
  readonly refresh_token?: string | undefined
  readonly scope?: string | undefined
}

/** RFC 6749, appendix A.12 and A.17: what may stand in a header, and no longer than fits into one. */
const token = /^[\x21-\x7e]{1,16384}$/
const longestLifeSeconds = 10 * 365 * 24 * 3600

/**
 * @param scopeSeparator what the provider separates scopes with in its replies
 * @param nowMs since the epoch
 * @returns undefined where something in it cannot be what it says it is
 */
export function toTokens(
  reply: TokenReply,
  scopeSeparator: ' ' | ',',
  nowMs: number,
): ProviderTokens | undefined {
  const { access_token, token_type, expires_in, refresh_token, scope } = reply
  if (token_type.toLowerCase() !== 'bearer' || !token.test(access_token)) return undefined
  if (refresh_token !== undefined && !token.test(refresh_token)) return undefined
  if (expires_in !== undefined && !(expires_in >= 0 && expires_in <= longestLifeSeconds)) return undefined
  if (scope !== undefined && (scope.length > 4096 || /[^\x20-\x7e]/.test(scope))) return undefined
  return {
    accessToken: access_token,
    tokenType: 'Bearer',
    refreshToken: refresh_token,
    expiresAt: expires_in === undefined ? undefined : Math.floor(nowMs / 1000 + expires_in),
    scope: scope
      ?.split(scopeSeparator)
      .map((one) => one.trim())
      .filter(Boolean)
      .join(' '),
  }
}
