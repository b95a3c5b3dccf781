import { createHmac } from 'node:crypto'
import type { Asking } from '../client/dialect-provider.ts'
import { isObject, type ReadRefusal } from '../client/provider-fetch.ts'
import { standardProvider } from '../client/standard-provider.ts'
import type { ProviderTokens } from '../provider.ts'

export const facebook = standardProvider({
  name: 'facebook',
  title: 'Facebook',
  scope: 'public_profile email',
  endpoints: {
    authorization: 'https://www.facebook.com/{GRAPH_VERSION}/dialog/oauth',
    token: 'https://graph.facebook.com/{GRAPH_VERSION}/oauth/access_token',
    profile: 'https://graph.facebook.com/{GRAPH_VERSION}/me',
    revocation: 'https://graph.facebook.com/{GRAPH_VERSION}/{user_id}/permissions',
    debug: 'https://graph.facebook.com/{GRAPH_VERSION}/debug_token',
  },
  settings: {
    GRAPH_VERSION: {
      description: "version of Facebook's Graph API in its URLs",
      default: 'v24.0',
      pattern: /^v\d{1,3}\.\d{1,2}$/,
      expected: 'a version such as v24.0',
    },
  },
  dialect: () => ({
    // Only its OpenID Connect flow takes one, "in testing".
    pkce: false,
    requestSeparator: ',',
    readRefusal,
    // About 60 days, where the reply does not say.
    complete: (body) => ({ expires_in: 60 * 24 * 60 * 60, token_type: 'bearer', ...body }),
    // What a code gives lives for an hour or two, and cannot be renewed once it is dead.
    afterExchange: async (asking, tokens) => {
      await checkAudience(asking, tokens)
      return lengthen(asking, tokens, 'exchange')
    },
    async profile(asking, { accessToken }) {
      const url = withParameters(asking.endpoints.profile ?? '', {
        fields: 'id,name,email,picture',
        appsecret_proof: proofOf(asking, accessToken),
      })
      const headers = { authorization: `Bearer ${accessToken}` }
      const { body } = await asking.demand({ kind: 'profile', url, headers })
      const picture =
        isObject(body?.picture) && isObject(body.picture.data) ? body.picture.data.url : undefined
      // It does not say whether it has verified the address.
      return { id: body?.id, name: body?.name, email: body?.email, emailVerified: false, picture }
    },
    renew: {
      can: ({ expiresAt }) => expiresAt !== undefined,
      refresh: (asking, tokens) => lengthen(asking, tokens, 'refresh'),
    },
    // The token dies after about 60 days, and a dead one cannot be exchanged for a new one: half of them.
    keepAliveDays: 30,
    async revoke(asking, { accessToken }, { id }) {
      const url = (asking.endpoints.revocation ?? '').replace('{user_id}', encodeURIComponent(id))
      const question = {
        kind: 'revocation',
        url: withParameters(url, { appsecret_proof: proofOf(asking, accessToken) }),
        method: 'DELETE',
        headers: { authorization: `Bearer ${accessToken}` },
      } as const
      const answer = await asking.ask(question)
      if (answer.status < 300 && answer.body?.error === undefined) return 'done'
      // The token has expired, or its user has ended it: no harm can come from it any more.
      return errorOf(answer.body).code === 190 ? 'done' : asking.refuse(question, answer)
    },
  }),
})

/** `{error: {message, type, code, error_subcode}}`. */
function errorOf(body: Readonly<Record<string, unknown>> | undefined) {
  const error = isObject(body?.error) ? body.error : {}
  return { code: error.code, subcode: error.error_subcode }
}

const readRefusal: ReadRefusal = (kind, { status, body }) => {
  if (!isObject(body?.error)) return undefined
  const { code, subcode } = errorOf(body)
  // 190: the access token has expired or was ended. 36007 and 36009: so was the code, or it was used before.
  const isDead =
    (kind === 'refresh' && code === 190) ||
    (kind === 'exchange' && status >= 400 && code === 100 && (subcode === 36007 || subcode === 36009))
  return { ...(typeof code === 'number' && { code: String(code) }), dead: isDead }
}

function lengthen(asking: Asking, { accessToken }: ProviderTokens, kind: 'exchange' | 'refresh') {
  return asking.grant(kind, 'fb_exchange_token', { fb_exchange_token: accessToken })
}

/** Its tokens are not bound to an audience: one that another application was given would do as well. */
async function checkAudience(asking: Asking, { accessToken }: ProviderTokens): Promise<void> {
  const { clientId, clientSecret, endpoints, errors } = asking
  const url = withParameters(endpoints.debug ?? '', { input_token: accessToken })
  const headers = { authorization: `Bearer ${clientId}|${clientSecret}` }
  const { body } = await asking.demand({ kind: 'profile', url, headers })
  const { app_id, is_valid } = isObject(body?.data) ? body.data : {}
  if (String(app_id) !== clientId || is_valid !== true) {
    throw errors.badResponse('has sent a token that is not for this application')
  }
}

/** Shows that whoever uses the token knows the application's secret. */
const proofOf = ({ clientSecret }: Asking, accessToken: string) =>
  createHmac('sha256', clientSecret).update(accessToken).digest('hex')

function withParameters(url: string, parameters: Readonly<Record<string, string>>): string {
  const whole = new URL(url)
  for (const [name, value] of Object.entries(parameters)) whole.searchParams.set(name, value)
  return whole.href
}
