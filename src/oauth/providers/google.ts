import { openIdProfile } from '../client/openid-profile.ts'
import { standardProvider } from '../client/standard-provider.ts'

export const google = standardProvider({
  name: 'google',
  title: 'Google',
  scope: 'openid email profile',
  // ID tokens may name it without scheme, as they did before OpenID Connect was finished.
  issuers: ['https://accounts.google.com', 'accounts.google.com'],
  endpoints: {
    authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
    token: 'https://oauth2.googleapis.com/token',
    profile: 'https://openidconnect.googleapis.com/v1/userinfo',
    revocation: 'https://oauth2.googleapis.com/revoke',
    jwks: 'https://www.googleapis.com/oauth2/v3/certs',
  },
  dialect: () => ({
    pkce: true,
    // There is no refresh token without the first, nor, after the first time, without the second.
    authorization: { access_type: 'offline', prompt: 'consent' },
    profile: openIdProfile,
    // Refresh tokens die after 6 months of disuse: half of it leaves room for anything.
    keepAliveDays: 90,
    async revoke(asking, { refreshToken, accessToken }) {
      const question = {
        kind: 'revocation',
        url: asking.endpoints.revocation ?? '',
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ token: refreshToken ?? accessToken }).toString(),
      } as const
      const answer = await asking.ask(question)
      // It says 400 `invalid_token` for those it does not know, where RFC 7009 §2.2 has 200.
      if (answer.status < 300 || answer.body?.error === 'invalid_token') return 'done'
      return asking.refuse(question, answer)
    },
  }),
})
