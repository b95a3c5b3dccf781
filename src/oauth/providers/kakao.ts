import { GatewayError } from '../../errors.ts'
import { isObject } from '../client/provider-fetch.ts'
import { standardProvider } from '../client/standard-provider.ts'

export const kakao = standardProvider({
  name: 'kakao',
  title: 'Kakao',
  // What is asked for is set up with the application; asking for something that is not set up there is an error.
  scope: '',
  issuers: ['https://kauth.kakao.com'],
  endpoints: {
    authorization: 'https://kauth.kakao.com/oauth/authorize',
    token: 'https://kauth.kakao.com/oauth/token',
    profile: 'https://kapi.kakao.com/v2/user/me',
    revocation: 'https://kapi.kakao.com/v1/user/unlink',
    jwks: 'https://kauth.kakao.com/.well-known/jwks.json',
  },
  settings: {
    ADMIN_KEY: {
      description:
        "what grants are ended with; without it the user's own token, which is refreshed for that where it has expired",
      secret: true,
      pattern: /^[\x21-\x7e]+$/,
      expected: 'printable ASCII',
    },
  },
  dialect: ({ ADMIN_KEY: adminKey }) => ({
    // Its SDKs send a challenge; its REST documentation does not mention it.
    pkce: true,
    requestSeparator: ',',
    async profile(asking, { accessToken }) {
      const headers = { authorization: `Bearer ${accessToken}` }
      const { body } = await asking.demand({ kind: 'profile', url: asking.endpoints.profile ?? '', headers })
      const account = isObject(body?.kakao_account) ? body.kakao_account : {}
      const profile = isObject(account.profile) ? account.profile : {}
      return {
        id: body?.id,
        name: profile.nickname,
        email: account.email,
        emailVerified: account.is_email_valid === true && account.is_email_verified === true,
        picture: profile.profile_image_url,
      }
    },
    // Refresh tokens live for about two months, and are renewed only in their last: so each of these refreshes but
    // the first falls into one, and a week of failures does no harm.
    keepAliveDays: 20,
    async revoke(asking, tokens, { id }) {
      const unlink = (authorization: string, body: string) => ({
        kind: 'revocation' as const,
        url: asking.endpoints.revocation ?? '',
        method: 'POST' as const,
        headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
        body,
      })
      const byAdmin = adminKey !== undefined
      const target = new URLSearchParams({ target_id_type: 'user_id', target_id: id }).toString()
      let question = byAdmin
        ? unlink(`KakaoAK ${adminKey}`, target)
        : unlink(`Bearer ${tokens.accessToken}`, '')
      let answer = await asking.ask(question)
      if (answer.status === 401 && !byAdmin && tokens.refreshToken !== undefined) {
        // Expired: only a living token can end the grant.
        const renewed = await asking.refresh(tokens.refreshToken).catch(deadIsUndefined)
        if (renewed === undefined) return 'done'
        question = unlink(`Bearer ${renewed.accessToken}`, '')
        answer = await asking.ask(question)
      }
      if (answer.status < 300 || isUnknown(answer.status, answer.body?.code, byAdmin)) return 'done'
      return asking.refuse(question, answer)
    },
  }),
})

/** -101: the user is not (any more) connected to the application; 401: the token is nobody's. */
const isUnknown = (status: number, code: unknown, byAdmin: boolean) =>
  code === -101 || (status === 401 && !byAdmin)

function deadIsUndefined(error: unknown): undefined {
  if (error instanceof GatewayError && error.code === 'invalid_grant') return undefined
  throw error
}
