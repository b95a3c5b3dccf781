import type { Dialect } from './dialect-provider.ts'

/**
 * The claims of OpenID Connect Core §5.1, from the userinfo endpoint; from the ID token where there is none.
 * What userinfo says counts only where it speaks of the ID token's user (§5.3.2).
 */
export const openIdProfile: Dialect['profile'] = async (asking, { accessToken }, claims) => {
  const url = asking.endpoints.profile
  const headers = { authorization: `Bearer ${accessToken}` }
  const said = url === undefined ? claims : (await asking.demand({ kind: 'profile', url, headers })).body
  const { sub, name, email, email_verified, picture } = said ?? {}
  if (claims !== undefined && sub !== claims.sub) {
    throw asking.errors.badResponse("has sent a profile that is not the ID token's user's")
  }
  // Some send it as a string.
  const emailVerified = email_verified === true || email_verified === 'true'
  return { id: typeof sub === 'string' ? sub : undefined, name, email, emailVerified, picture }
}
