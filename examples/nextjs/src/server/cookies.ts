import { cookies } from 'next/headers'
import { readSettings } from './settings.ts'

/**
 * Cookies that scripts cannot read. `__Host-` (RFC 6265bis §4.1.3.2) keeps sibling hosts from setting them; browsers
 * take that over https only.
 */
function options(sameSite: 'lax' | 'strict', maxAge: number) {
  const secure = readSettings().frontEndUrl.startsWith('https:')
  return { httpOnly: true, secure, sameSite, path: '/', maxAge }
}

const named = (name: string) => (readSettings().frontEndUrl.startsWith('https:') ? `__Host-${name}` : name)

/** As long as an unused refresh token lives at the gateway (REFRESH_TOKEN_LIFETIME). */
const thirtyDays = 30 * 86_400

/** The refresh token of whoever is logged in. Strict: no other site can make a browser bring it along. */
export const sessionCookie = {
  read: async () => (await cookies()).get(named('front-end-session'))?.value,
  async write(refreshToken: string): Promise<void> {
    const jar = await cookies()
    jar.set(named('front-end-session'), refreshToken, options('strict', thirtyDays))
  },
  async remove(): Promise<void> {
    const jar = await cookies()
    jar.set(named('front-end-session'), '', options('strict', 0))
  },
}

/** What a login is begun with, and is to come back with. */
export interface LoginAttempt {
  readonly state: string
  readonly verifier: string
}

/** The login that this browser has begun. Lax: it must come along when the gateway sends the browser back. */
export const attemptCookie = {
  /** Gives it out once. */
  async take(): Promise<LoginAttempt | undefined> {
    const jar = await cookies()
    const [state, verifier] = jar.get(named('front-end-login'))?.value.split('.') ?? []
    jar.set(named('front-end-login'), '', options('lax', 0))
    return state === undefined || verifier === undefined ? undefined : { state, verifier }
  },
  /** For as long as the gateway waits for a browser that is away at a provider, and a little longer. */
  async write({ state, verifier }: LoginAttempt): Promise<void> {
    const jar = await cookies()
    jar.set(named('front-end-login'), `${state}.${verifier}`, options('lax', 720))
  },
}
