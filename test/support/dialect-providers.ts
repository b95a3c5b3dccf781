import { createHmac } from 'node:crypto'
import { challengeOf, type House, type RecordedRequest, type Reply, type TestGrant } from './dialects.ts'

/** One provider, as the facts have it. */
interface TestDialect {
  readonly takesPkce: boolean
  /** What is granted where nothing is asked for. */
  readonly scope: string
  /** `iss` of the callback, where there is one. */
  readonly iss?: (house: House) => string
  /** Suffix of a setting → path below the provider's, or, after `=`, the value itself. */
  readonly settings: Readonly<Record<string, string>>
  route(method: string, path: string): string | undefined
  answer(action: string, request: RecordedRequest, house: House): Promise<Reply> | Reply
}

const hour = 3600
const routes = (table: Readonly<Record<string, string>>) => (method: string, path: string) =>
  table[`${method} ${path}`]

const ok = (body: unknown): Reply => ({ status: 200, body })
const no = (status: number, error: string): Reply => ({
  status,
  body: { error, error_description: 'not today' },
})

/** Client credentials in the body or by Basic. */
function isClient({ parameters, headers }: RecordedRequest, provider: string, house: House): boolean {
  const basic = /^Basic (.+)$/.exec(String(headers.authorization))?.[1]
  const [id, secret] =
    basic === undefined
      ? [parameters.get('client_id'), parameters.get('client_secret')]
      : Buffer.from(basic, 'base64').toString().split(':').map(decodeURIComponent)
  return id === `${provider}-client` && secret === house.clientSecret(provider)
}

/** The grant that a code stands for: once, for who has asked for it. */
function takeCode({ parameters }: RecordedRequest, provider: string, house: House): TestGrant | undefined {
  const code = parameters.get('code') ?? ''
  const pending = house.codes.get(code)
  house.codes.delete(code)
  if (pending === undefined || pending.provider !== provider) return undefined
  const verifier = parameters.get('code_verifier')
  const proof = verifier === null ? undefined : challengeOf(verifier)
  if (proof !== pending.challenge && (pending.challenge !== undefined || dialects[provider]!.takesPkce)) {
    return undefined
  }
  if (parameters.get('redirect_uri') !== pending.redirectUri) return undefined
  if (provider === 'naver' && parameters.get('state') !== pending.state) return undefined
  return pending.grant
}

function takeRefreshToken({ parameters }: RecordedRequest, provider: string, house: House) {
  const grant = house.refreshTokens.get(parameters.get('refresh_token') ?? '')
  return grant?.provider === provider && grant.alive ? grant : undefined
}

function accessToken(
  grant: TestGrant,
  house: House,
  alphabet?: 'base64',
): { token: string; expiresIn: number } {
  const token = house.secret(alphabet)
  const expiresIn = house.expiresIn[grant.provider] ?? hour
  house.accessTokens.set(token, { grant, expiresAt: Date.now() + expiresIn * 1000 })
  return { token, expiresIn }
}

function refreshToken(grant: TestGrant, house: House): string {
  if (grant.refreshToken !== undefined) house.refreshTokens.delete(grant.refreshToken)
  grant.refreshToken = house.secret()
  house.refreshTokens.set(grant.refreshToken, grant)
  return grant.refreshToken
}

function bearer({ headers }: RecordedRequest, provider: string, house: House): TestGrant | undefined {
  const token = /^Bearer (.+)$/.exec(String(headers.authorization))?.[1] ?? ''
  const known = house.accessTokens.get(token)
  const isGood = known?.grant.alive && known.grant.provider === provider && known.expiresAt > Date.now()
  return isGood ? known.grant : undefined
}

/** OpenID Connect as Google and Microsoft have it. */
function openId(provider: string, rotates: boolean, issuer: (house: House) => string): TestDialect {
  return {
    takesPkce: true,
    scope: 'openid email profile',
    settings: {
      ISSUER: '',
      AUTHORIZATION_URL: '/authorize',
      TOKEN_URL: '/token',
      PROFILE_URL: '/userinfo',
      JWKS_URL: '/jwks',
      ...(provider === 'google' && { REVOCATION_URL: '/revoke' }),
    },
    route: routes({
      'GET authorize': 'authorize',
      'POST token': 'token',
      'GET userinfo': 'profile',
      'GET jwks': 'jwks',
      'POST revoke': 'revoke',
    }),
    async answer(action, request, house) {
      const user = house.users[provider]!
      if (action === 'jwks') return ok({ keys: await house.signer.keys() })
      if (action === 'profile') {
        if (bearer(request, provider, house) === undefined) return no(401, 'invalid_token')
        const { id: sub, name, email, emailVerified: email_verified } = user
        return ok({ sub, name, email, email_verified, picture: 'https://example.com/me.png' })
      }
      if (action === 'revoke') {
        const token = request.parameters.get('token') ?? ''
        const grant = house.refreshTokens.get(token) ?? house.accessTokens.get(token)?.grant
        if (!grant?.alive) return no(400, 'invalid_token')
        grant.alive = false
        return ok({})
      }
      if (!isClient(request, provider, house)) return no(401, 'invalid_client')
      const isRefresh = request.parameters.get('grant_type') === 'refresh_token'
      const take = isRefresh ? takeRefreshToken : takeCode
      const grant = take(request, provider, house)
      if (grant === undefined) return no(400, 'invalid_grant')
      const { token, expiresIn } = accessToken(grant, house)
      const now = Math.floor(Date.now() / 1000)
      const idToken = await house.signer.sign({
        iss: issuer(house),
        aud: grant.clientId,
        sub: user.id,
        iat: now,
        exp: now + hour,
        ...(!isRefresh && grant.nonce !== undefined && { nonce: grant.nonce }),
        ...house.switches.idTokenClaims,
      })
      house.remember(idToken)
      return ok({
        access_token: token,
        expires_in: expiresIn,
        token_type: 'Bearer',
        scope: grant.scope,
        ...(grant.scope.split(' ').includes('openid') && { id_token: idToken }),
        ...((!isRefresh || rotates) && { refresh_token: refreshToken(grant, house) }),
      })
    },
  }
}

const github: TestDialect = {
  takesPkce: true,
  scope: '',
  iss: (house) => `${house.origin()}/github/login/oauth`,
  settings: {
    ISSUER: '/login/oauth',
    AUTHORIZATION_URL: '/login/oauth/authorize',
    TOKEN_URL: '/login/oauth/access_token',
    PROFILE_URL: '/user',
    REVOCATION_URL: '/applications/{client_id}/grant',
  },
  route: routes({
    'GET login/oauth/authorize': 'authorize',
    'POST login/oauth/access_token': 'token',
    'GET user': 'profile',
    'GET user/emails': 'emails',
    'DELETE applications/github-client/grant': 'revoke',
  }),
  answer(action, request, house) {
    const user = house.users.github!
    // Form-encoded unless JSON is asked for, and a no is a 200.
    const form = house.switches.githubForm || !String(request.headers.accept).includes('application/json')
    if (action === 'token') {
      if (!isClient(request, 'github', house)) return { ...no(200, 'incorrect_client_credentials'), form }
      const isRefresh = request.parameters.get('grant_type') === 'refresh_token'
      const grant = (isRefresh ? takeRefreshToken : takeCode)(request, 'github', house)
      if (grant === undefined) {
        return { ...no(200, isRefresh ? 'bad_refresh_token' : 'bad_verification_code'), form }
      }
      const { token, expiresIn } = accessToken(grant, house)
      const expiry = {
        expires_in: house.expiresIn.github ?? 8 * expiresIn,
        refresh_token_expires_in: 15897600,
      }
      return {
        ...ok({
          access_token: token,
          token_type: 'bearer',
          scope: grant.scope.replaceAll(' ', ','),
          ...(house.switches.githubApp && { ...expiry, refresh_token: refreshToken(grant, house) }),
        }),
        form,
      }
    }
    if (action === 'revoke') {
      const basic = isClient(request, 'github', house)
      const token = String(JSON.parse(request.body || '{}').access_token)
      const grant = house.accessTokens.get(token)?.grant
      if (!basic) return { status: 401, body: { message: 'Bad credentials' } }
      if (!grant?.alive) return { status: 404, body: { message: 'Not Found' } }
      grant.alive = false
      return { status: 204 }
    }
    const grant = bearer(request, 'github', house)
    if (grant === undefined) return { status: 401, body: { message: 'Bad credentials' } }
    if (action === 'emails') {
      if (!grant.scope.includes('user:email')) return { status: 404, body: { message: 'Not Found' } }
      return ok([
        { email: 'other@example.com', primary: false, verified: true, visibility: null },
        { email: user.email, primary: true, verified: user.emailVerified, visibility: 'private' },
      ])
    }
    return ok({
      id: Number(user.id),
      login: 'munjigi',
      name: user.name,
      email: null,
      avatar_url: 'https://example.com/me.png',
    })
  },
}

const naver: TestDialect = {
  takesPkce: false,
  scope: '',
  settings: {
    AUTHORIZATION_URL: '/oauth2.0/authorize',
    TOKEN_URL: '/oauth2.0/token',
    PROFILE_URL: '/v1/nid/me',
    REVOCATION_URL: '/oauth2.0/revoke',
  },
  route: routes({
    'GET oauth2.0/authorize': 'authorize',
    'POST oauth2.0/token': 'token',
    'GET v1/nid/me': 'profile',
    'POST oauth2.0/revoke': 'revoke',
  }),
  answer(action, request, house) {
    const { id, name, email } = house.users.naver!
    if (action === 'profile') {
      if (bearer(request, 'naver', house) === undefined) {
        return { status: 401, body: { resultcode: '024', message: 'Authentication failed' } }
      }
      const response = {
        id: `naver-${id}`,
        nickname: name,
        email,
        profile_image: 'https://example.com/me.png',
      }
      return ok({ resultcode: '00', message: 'success', response })
    }
    if (action === 'revoke') {
      if (!isClient(request, 'naver', house)) return no(401, 'invalid_client')
      const token = request.parameters.get('token') ?? ''
      const grant = house.refreshTokens.get(token) ?? house.accessTokens.get(token)?.grant
      if (grant !== undefined) grant.alive = false
      return { status: 200 }
    }
    if (!isClient(request, 'naver', house)) return no(200, 'invalid_client')
    const isRefresh = request.parameters.get('grant_type') === 'refresh_token'
    const grant = (isRefresh ? takeRefreshToken : takeCode)(request, 'naver', house)
    if (grant === undefined) return no(200, isRefresh ? 'invalid_grant' : 'invalid_request')
    const { token, expiresIn } = accessToken(grant, house, 'base64')
    return ok({
      access_token: token,
      // The refresh reply has none: the old one stays good.
      ...(!isRefresh && { refresh_token: refreshToken(grant, house) }),
      token_type: 'bearer',
      expires_in: String(expiresIn),
    })
  },
}

const kakao: TestDialect = {
  takesPkce: true,
  scope: 'account_email profile_nickname',
  settings: {
    ISSUER: '',
    AUTHORIZATION_URL: '/oauth/authorize',
    TOKEN_URL: '/oauth/token',
    PROFILE_URL: '/v2/user/me',
    REVOCATION_URL: '/v1/user/unlink',
    JWKS_URL: '/.well-known/jwks.json',
  },
  route: routes({
    'GET oauth/authorize': 'authorize',
    'POST oauth/token': 'token',
    'GET v2/user/me': 'profile',
    'POST v1/user/unlink': 'revoke',
    'GET .well-known/jwks.json': 'jwks',
  }),
  async answer(action, request, house) {
    const { id, name, email, emailVerified } = house.users.kakao!
    if (action === 'jwks') return ok({ keys: await house.signer.keys() })
    if (action === 'token') {
      if (!isClient(request, 'kakao', house)) {
        return { status: 401, body: { error: 'invalid_client', error_code: 'KOE010' } }
      }
      const isRefresh = request.parameters.get('grant_type') === 'refresh_token'
      const grant = (isRefresh ? takeRefreshToken : takeCode)(request, 'kakao', house)
      if (grant === undefined) {
        return { status: 400, body: { error: 'invalid_grant', error_code: isRefresh ? 'KOE322' : 'KOE320' } }
      }
      const { token, expiresIn } = accessToken(grant, house)
      const now = Math.floor(Date.now() / 1000)
      const isOpenId = grant.scope.split(' ').includes('openid')
      const idToken = isOpenId
        ? await house.signer.sign({
            iss: `${house.origin()}/kakao`,
            aud: grant.clientId,
            sub: id,
            iat: now,
            exp: now + hour,
            ...(grant.nonce !== undefined && { nonce: grant.nonce }),
            ...house.switches.idTokenClaims,
          })
        : undefined
      if (idToken !== undefined) house.remember(idToken)
      return ok({
        token_type: 'bearer',
        access_token: token,
        expires_in: house.expiresIn.kakao ?? expiresIn * 6,
        ...(idToken !== undefined && { id_token: idToken }),
        ...((!isRefresh || house.switches.kakaoLastMonth) && {
          refresh_token: refreshToken(grant, house),
          refresh_token_expires_in: 5184000,
        }),
        ...(!isRefresh && { scope: grant.scope }),
      })
    }
    const grant = bearer(request, 'kakao', house)
    const noToken = { status: 401, body: { msg: 'this access token does not exist', code: -401 } }
    if (action === 'revoke') {
      const byAdmin = request.headers.authorization === 'KakaoAK kakao-admin-key'
      const isHim = request.parameters.get('target_id') === id
      if (byAdmin && !isHim) return { status: 400, body: { msg: 'NotRegisteredUserException', code: -101 } }
      if (!byAdmin && grant === undefined) return noToken
      for (const one of house.refreshTokens.values()) if (one.provider === 'kakao') one.alive = false
      if (grant !== undefined) grant.alive = false
      return ok({ id: Number(id) })
    }
    if (grant === undefined) return noToken
    return ok({
      id: Number(id),
      connected_at: '2026-11-23T00:00:00Z',
      kakao_account: {
        email,
        is_email_valid: true,
        is_email_verified: emailVerified,
        profile: { nickname: name, profile_image_url: 'https://example.com/me.png' },
      },
    })
  },
}

const facebook: TestDialect = {
  takesPkce: false,
  scope: 'public_profile,email',
  settings: {
    AUTHORIZATION_URL: '/dialog/oauth',
    TOKEN_URL: '/oauth/access_token',
    PROFILE_URL: '/me',
    DEBUG_URL: '/debug_token',
    REVOCATION_URL: '/{user_id}/permissions',
  },
  route(method, path) {
    if (method === 'DELETE' && /^\w+\/permissions$/.test(path)) return 'revoke'
    return routes({
      'GET dialog/oauth': 'authorize',
      'POST oauth/access_token': 'token',
      'GET me': 'profile',
      'GET debug_token': 'debug',
    })(method, path)
  },
  answer(action, request, house) {
    const { id, name, email } = house.users.facebook!
    const { parameters } = request
    const secret = house.clientSecret('facebook')
    const error = (code: number, subcode?: number): Reply => ({
      status: 400,
      body: {
        error: {
          message: 'Error',
          type: 'OAuthException',
          code,
          ...(subcode !== undefined && { error_subcode: subcode }),
          fbtrace_id: 'trace',
        },
      },
    })
    if (action === 'token') {
      if (!isClient(request, 'facebook', house)) return error(1)
      const isRefresh = parameters.get('grant_type') === 'fb_exchange_token'
      const known = house.accessTokens.get(parameters.get('fb_exchange_token') ?? '')
      const isGood = known?.grant.alive && known.expiresAt > Date.now()
      const grant = isRefresh ? (isGood ? known.grant : undefined) : takeCode(request, 'facebook', house)
      if (grant === undefined) return isRefresh ? error(190, 463) : error(100, 36009)
      const { token, expiresIn } = accessToken(grant, house)
      const longLived = house.expiresIn.facebook ?? 60 * 24 * hour
      if (isRefresh) house.accessTokens.set(token, { grant, expiresAt: Date.now() + longLived * 1000 })
      return ok({ access_token: token, token_type: 'bearer', expires_in: isRefresh ? longLived : expiresIn })
    }
    if (action === 'debug') {
      if (request.headers.authorization !== `Bearer facebook-client|${secret}`) return error(100)
      const known = house.accessTokens.get(parameters.get('input_token') ?? '')
      const isValid = known?.grant.alive === true && known.expiresAt > Date.now()
      return ok({
        data: {
          app_id: known?.grant.clientId ?? 'other-client',
          is_valid: isValid,
          type: 'USER',
          user_id: id,
        },
      })
    }
    const token = /^Bearer (.+)$/.exec(String(request.headers.authorization))?.[1] ?? ''
    const proof = createHmac('sha256', secret).update(token).digest('hex')
    const grant = bearer(request, 'facebook', house)
    if (grant === undefined) return error(190, 463)
    if (parameters.get('appsecret_proof') !== proof) return error(100)
    if (action === 'revoke') {
      grant.alive = false
      return ok({ success: true })
    }
    return ok({ id, name, email })
  },
}

export const dialects: Readonly<Record<string, TestDialect>> = {
  google: openId('google', false, (house) => `${house.origin()}/google`),
  facebook,
  github,
  naver,
  kakao,
  microsoft: openId('microsoft', true, (house) => `${house.origin()}/microsoft`),
}
