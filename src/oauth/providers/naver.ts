import { isObject } from '../client/provider-fetch.ts'
import { standardProvider } from '../client/standard-provider.ts'

export const naver = standardProvider({
  name: 'naver',
  title: 'Naver',
  // What is asked for is set up with the application.
  scope: '',
  endpoints: {
    authorization: 'https://nid.naver.com/oauth2.0/authorize',
    token: 'https://nid.naver.com/oauth2.0/token',
    profile: 'https://openapi.naver.com/v1/nid/me',
    revocation: 'https://nid.naver.com/oauth2.0/revoke',
  },
  dialect: () => ({
    // These paths do not document it; those of its OpenID Connect (/oauth2/…) do.
    pkce: false,
    exchangeParameters: ({ state }) => ({ ...(state !== undefined && { state }) }),
    // Its token endpoint says no and yes alike with 200.
    readRefusal(kind, { status, body }) {
      const isDead = kind === 'refresh' && status === 200 && body?.error === 'invalid_grant'
      if (isDead) return { code: 'invalid_grant', dead: true }
      if (kind !== 'profile' || (status === 200 && body?.resultcode === '00')) return undefined
      return { ...(typeof body?.resultcode === 'string' && { code: body.resultcode }), dead: false }
    },
    async profile(asking, { accessToken }) {
      const headers = { authorization: `Bearer ${accessToken}` }
      const { body } = await asking.demand({ kind: 'profile', url: asking.endpoints.profile ?? '', headers })
      const {
        id,
        name,
        nickname,
        email,
        profile_image: picture,
      } = isObject(body?.response) ? body.response : {}
      // It does not say whether it has verified the address.
      return {
        id: typeof id === 'string' ? id : undefined,
        name: name ?? nickname,
        email,
        emailVerified: false,
        picture,
      }
    },
    // It answers 200 for tokens that it does not know, too.
    async revoke(asking, tokens) {
      await asking.revokeToken(tokens)
      return 'done'
    },
  }),
})
