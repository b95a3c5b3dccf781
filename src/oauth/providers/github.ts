import { isObject } from '../client/provider-fetch.ts'
import { standardProvider } from '../client/standard-provider.ts'

export const github = standardProvider({
  name: 'github',
  title: 'GitHub',
  scope: 'read:user user:email',
  // Its callbacks name it since 2026; it issues no ID tokens.
  issuers: ['https://github.com/login/oauth'],
  endpoints: {
    authorization: 'https://github.com/login/oauth/authorize',
    token: 'https://github.com/login/oauth/access_token',
    profile: 'https://api.github.com/user',
    revocation: 'https://api.github.com/applications/{client_id}/grant',
  },
  dialect: () => ({
    pkce: true,
    replySeparator: ',',
    formReplies: true,
    // A no is a 200. That is its dialect's word where a refresh token is concerned; RFC 6749 §5.2 everywhere else.
    readRefusal(kind, { status, body }) {
      if (kind !== 'refresh' || status !== 200 || body?.error !== 'bad_refresh_token') return undefined
      return { code: body.error, dead: true }
    },
    async profile(asking, { accessToken }) {
      const url = asking.endpoints.profile ?? ''
      const headers = { authorization: `Bearer ${accessToken}`, accept: 'application/json' }
      const { body } = await asking.demand({ kind: 'profile', url, headers })
      const { id, name, login, avatar_url: picture } = body ?? {}
      // The address in the profile is the one that the user shows, which nobody has verified.
      const question = { kind: 'profile', url: `${url}/emails`, headers } as const
      const answer = await asking.ask(question)
      // Not granted: 404 to an OAuth App's token, 403 to a GitHub App's.
      if (answer.list === undefined && ![403, 404].includes(answer.status)) asking.refuse(question, answer)
      const primary = answer.list?.filter(isObject).find((one) => one.primary === true)
      return {
        id,
        name: name ?? login,
        email: primary?.email,
        emailVerified: primary?.verified === true,
        picture,
      }
    },
    // A GitHub App's refresh tokens die after 6 months; an OAuth App has none, and its tokens do not expire.
    keepAliveDays: 90,
    async revoke(asking, { accessToken }) {
      const { clientId, clientSecret, endpoints } = asking
      const credentials = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
      const question = {
        kind: 'revocation',
        url: endpoints.revocation ?? '',
        method: 'DELETE',
        headers: { authorization: `Basic ${credentials}`, 'content-type': 'application/json' },
        body: JSON.stringify({ access_token: accessToken }),
      } as const
      const answer = await asking.ask(question)
      // 404 and 422: a token that it does not know (any more).
      return answer.status < 300 || [404, 422].includes(answer.status)
        ? 'done'
        : asking.refuse(question, answer)
    },
  }),
})
