import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ExecutionContext } from 'ava'
import { httpUpstream } from './upstream.ts'

export type ScriptedAnswer = (request: IncomingMessage, response: ServerResponse) => void

/** These very bytes, as JSON unless the headers say otherwise. */
export const reply =
  (body: string, headers: Readonly<Record<string, string>> = {}, status = 200): ScriptedAnswer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body)
  }
export const json = (body: unknown, status = 200) => reply(JSON.stringify(body), {}, status)

/** What a code is answered with: good tokens and a profile unless told otherwise. */
export interface CodeScript {
  readonly token?: ScriptedAnswer
  readonly profile?: ScriptedAnswer
  /** The provider's id for the user: another for each code. */
  readonly account?: string
}

export interface ScriptedCode {
  readonly code: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly account: string
}

/** Kakao, as far as a code, a profile, a refresh and an unlinking go, on a real socket: each code has its own script. */
export interface ScriptedProvider {
  /** Settings of a gateway that is to know it. */
  readonly env: Readonly<Record<string, string>>
  /** Of the gateway at the provider. */
  readonly secret: string
  code(script?: CodeScript): ScriptedCode
  /** What it was sent for a code. */
  formsOf(code: string): readonly URLSearchParams[]
  /** How the refreshes of this account are answered from now on: well where it is undefined. */
  answerRefreshes(account: string, answer: ScriptedAnswer | undefined): void
  /** How often it was asked about this account: by code, token or refresh token. */
  askedAbout(account: string): number
  /** The paths of requests that are none of its endpoints. */
  readonly strayed: readonly string[]
}

export async function startScriptedProvider(t: ExecutionContext): Promise<ScriptedProvider> {
  const secret = randomBytes(24).toString('base64url')
  const scripts = new Map<string, ScriptedAnswer>()
  const profiles = new Map<string, ScriptedAnswer>()
  const forms: URLSearchParams[] = []
  const strayed: string[] = []
  const refreshes = new Map<string, ScriptedAnswer | undefined>()
  /** Whose each code and token is. */
  const accounts = new Map<string, string>()
  const asked = new Map<string, number>()

  function newTokens(account: string) {
    const tokens = {
      access_token: `AAAA+/${randomBytes(24).toString('base64')}`,
      token_type: 'bearer',
      refresh_token: `refresh-${randomUUID()}`,
      expires_in: 21_599,
      scope: 'profile_nickname account_email',
    }
    accounts.set(tokens.access_token, account).set(tokens.refresh_token, account)
    return tokens
  }
  const endpoints: Readonly<
    Record<string, (form: URLSearchParams, token: string) => ScriptedAnswer | undefined>
  > = {
    '/token'(form) {
      forms.push(form)
      const account = accounts.get(form.get('refresh_token') ?? '')
      if (account !== undefined) return refreshes.get(account) ?? json(newTokens(account))
      return scripts.get(form.get('code') ?? '')
    },
    '/profile': (_form, token) => profiles.get(token),
    '/unlink': () => json({ id: 1 }),
  }
  const { origin } = await httpUpstream(t, async (request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://provider')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const [, token = ''] = (request.headers.authorization ?? '').split(' ')
    const form = new URLSearchParams(Buffer.concat(chunks).toString())
    for (const shown of [token, form.get('code'), form.get('refresh_token')]) {
      const account = accounts.get(shown ?? '')
      if (account !== undefined) asked.set(account, (asked.get(account) ?? 0) + 1)
    }
    const answer = endpoints[pathname]?.(form, token)
    if (endpoints[pathname] === undefined) strayed.push(pathname)
    const refused = json({ error: 'invalid_grant', error_code: 'KOE320' }, 400)
    ;(answer ?? refused)(request, response)
  })

  return {
    secret,
    strayed,
    answerRefreshes: (account, answer) => void refreshes.set(account, answer),
    askedAbout: (account) => asked.get(account) ?? 0,
    formsOf: (code) => forms.filter((form) => form.get('code') === code),
    env: {
      KAKAO_CLIENT_ID: 'kakao-client',
      KAKAO_CLIENT_SECRET: secret,
      KAKAO_AUTHORIZATION_URL: `${origin}/authorize`,
      KAKAO_TOKEN_URL: `${origin}/token`,
      KAKAO_PROFILE_URL: `${origin}/profile`,
      KAKAO_REVOCATION_URL: `${origin}/unlink`,
      KAKAO_JWKS_URL: `${origin}/jwks`,
    },
    code({ account = String(randomInt(2 ** 40)), token, profile } = {}) {
      const code = `code-${randomUUID()}`
      const tokens = newTokens(account)
      accounts.set(code, account)
      scripts.set(code, token ?? json(tokens))
      const usual = {
        id: Number(account),
        kakao_account: {
          email: 'jin@example.com',
          is_email_valid: true,
          is_email_verified: true,
          profile: { nickname: '진민' },
        },
      }
      profiles.set(tokens.access_token, profile ?? json(usual))
      return { code, account, accessToken: tokens.access_token, refreshToken: tokens.refresh_token }
    },
  }
}
