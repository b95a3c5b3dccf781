import { hashOf, isRandomTokenShaped, randomToken } from '../../tokens/secrets.ts'
import type { OAuthContext } from '../state.ts'

/** For how long a browser may be away at a provider. */
export const attemptSeconds = 600
/** Who comes back at the last moment still has the exchange before him, and a code that is good for a minute. */
const cookieSeconds = attemptSeconds + 120

/** Binds logins to the browser that began them. */
export interface LoginCookie {
  /** Gives the browser a cookie, the one it has where it has one: several tabs may be at it. Returns its hash. */
  keep(ctx: OAuthContext): string
  /** The hash of the browser's cookie; undefined where it has none. */
  read(ctx: OAuthContext): string | undefined
}

/**
 * `__Host-` (RFC 6265bis §4.1.3.2) keeps sibling hosts from setting it. Browsers take that over https only, so it
 * has another name where the public URL is http, which is a development gateway's. SameSite=Lax lets it come along
 * when a provider sends the browser back.
 */
export function createLoginCookie(publicUrl: string): LoginCookie {
  const secure = publicUrl.startsWith('https:')
  const name = secure ? '__Host-munjigi-login' : 'munjigi-login'
  const attributes = `Path=/; Max-Age=${cookieSeconds}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`

  function find({ req }: OAuthContext): string | undefined {
    for (const pair of (req.headers.cookie ?? '').split(';')) {
      const [key, value = ''] = pair.trim().split('=', 2)
      if (key === name && isRandomTokenShaped(value)) return value
    }
    return undefined
  }

  return {
    keep(ctx) {
      const value = find(ctx) ?? randomToken()
      ctx.append('Set-Cookie', `${name}=${value}; ${attributes}`)
      return hashOf(value)
    },
    read(ctx) {
      const value = find(ctx)
      return value === undefined ? undefined : hashOf(value)
    },
  }
}
