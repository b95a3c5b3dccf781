import { hash, randomBytes, randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import Koa from 'koa'
import { checkPath, createBegin } from '../../src/door/begin.ts'
import { createErrorBoundary } from '../../src/door/error-boundary.ts'
import { createIdentifyCaller } from '../../src/door/forwarded.ts'
import type { DoorState } from '../../src/door/state.ts'
import { createAct } from '../../src/oauth/actor.ts'
import { createLoginEndpoints, type LoginOptions } from '../../src/oauth/login/login.ts'
import type { CodeRequest, Grant, Provider, ProviderProfile } from '../../src/oauth/provider.ts'
import { createRedirectUris } from '../../src/oauth/redirect-uris.ts'
import { createOAuthRoutes } from '../../src/oauth/routes.ts'
import type { OAuthStep } from '../../src/oauth/state.ts'
import { createVault } from '../../src/oauth/vault/vault.ts'
import type { LogFields } from '../../src/observability/log.ts'
import { createSealer } from '../../src/persistence/sealer.ts'
import { createIdentifyClient } from '../../src/tokens/clients.ts'
import { createOpen } from '../../src/tokens/create.ts'
import { createGuard } from '../../src/tokens/guard.ts'
import { createIssuer } from '../../src/tokens/issue.ts'
import { createRefresh } from '../../src/tokens/refresh.ts'
import type { RequestLimit } from '../../src/tokens/request-limit.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { createRotation } from '../../src/tokens/rotation.ts'
import { createSuccessorDerivation } from '../../src/tokens/secrets.ts'
import { createVerifiedTokens } from '../../src/tokens/verified.ts'
import { type Reply, type RequestOptions, request } from './request.ts'
import { serve } from './serve.ts'
import { clients, issuer, type TokenParts } from './token-server.ts'

/** A provider that grants what a test tells it to, and counts how often it was asked. */
export interface ScriptedProvider extends Provider {
  /** Every code that it was asked to exchange. */
  readonly exchanges: CodeRequest[]
  /** The code that a user with this profile brings back; one that an error is given for fails with it. */
  codeFor(profile: Partial<ProviderProfile> | Error): string
}

export interface LoginServer extends TokenParts {
  readonly url: string
  readonly publicUrl: string
  readonly google: ScriptedProvider
  readonly kakao: ScriptedProvider
  /** `errorCode` of every request, as the access log has it. */
  readonly errorCodes: (string | undefined)[]
  /** As a browser at the public address asks; headers given stand before its own. */
  ask(path: string, options?: RequestOptions): Promise<Reply>
  complete(body: unknown, headers?: Readonly<Record<string, string>>): Promise<Completed>
  /** A browser that has been sent to the provider. */
  start(provider?: string, query?: Readonly<Record<string, string>>, cookie?: string): Promise<Started>
  /** A browser that has come back with a login code. */
  login(
    provider: ScriptedProvider,
    profile: Partial<ProviderProfile>,
    query?: Readonly<Record<string, string>>,
  ): Promise<string>
  /** The same, with the browser's cookie. */
  loginInBrowser(
    provider: ScriptedProvider,
    profile: Partial<ProviderProfile>,
    query?: Readonly<Record<string, string>>,
  ): Promise<{ readonly code: string; readonly cookie: string }>
}

export interface Completed {
  readonly status: number
  readonly headers: Reply['headers']
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came; the test says what it expects of it.
  readonly json: any
}

export interface Started {
  readonly state: string
  /** `name=value` */
  readonly cookie: string
  readonly location: URL
}

export const returnUrl = 'https://app.example.com/welcome'
export const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
export const challengeOf = (verifier: string) => hash('sha256', verifier, 'base64url')
export const newVerifier = () => randomBytes(32).toString('base64url')
/** A profile of somebody whom no other test has. */
export const account = (given: Partial<ProviderProfile> = {}): ProviderProfile => ({
  id: randomUUID(),
  emailVerified: false,
  ...given,
})

export interface LoginServerOptions
  extends Partial<Pick<LoginOptions, 'publicUrl' | 'routePrefix' | 'returnUrls' | 'linkVerifiedEmail'>> {
  /** Whether it is a PostgreSQL. */
  readonly shared?: boolean
  /** None unless it is given. */
  readonly requestLimit?: RequestLimit
}

/** The login endpoints with all their steps behind the door's error boundary, on a free port. */
export async function startLoginServer(
  t: ExecutionContext,
  parts: TokenParts,
  given: LoginServerOptions = {},
): Promise<LoginServer> {
  const { database } = parts
  const { publicUrl = issuer, routePrefix = '', shared = false } = given
  const log = keepLog(parts)
  const google = scriptedProvider('google', 'Google')
  const kakao = scriptedProvider('kakao', 'Kakao')
  const providers = new Map<string, Provider>([google, kakao].map((one) => [one.name, one]))
  const sealer = createSealer([{ id: 'test', secret: randomBytes(32).toString('base64') }])
  const vault = createVault({
    ...{ database, sealer, providers, log },
    ...{ shared, poolSize: 5, statementTimeoutMs: 60_000, providerTimeoutMs: 15_000, refreshAheadMs: 1000 },
  })
  const tokenIssuer = createIssuer({
    ...{ keys: parts.keys, issuer, audience: issuer, accessTokenLifetimeSeconds: 900 },
  })
  const open = createOpen({
    database,
    issuer: tokenIssuer,
    lifetimes: { refreshTokenLifetime: 86_400, sessionLifetime: 864_000 },
  })
  const rotate = createRotation({
    ...{ refreshTokenLifetime: 86_400, graceMs: 0 },
    derivations: [createSuccessorDerivation(randomBytes(32))],
  })
  const refresh = createRefresh({ database, issuer: tokenIssuer, rotate, denials: parts.denials, log })
  const guard = createGuard({
    verifier: parts.verifier,
    verified: createVerifiedTokens(0),
    revocations: createRevocations({ issuer, denials: parts.denials, keys: parts.keys }),
    issuer,
    dummies: undefined,
    headers: { id: 'X-User-Id', scope: 'X-User-Scope', issuer: 'X-User-Issuer' },
  })
  const act = createAct({ guard, issuer })
  const redirectUris = createRedirectUris({ publicUrl, routePrefix, allowed: [] })
  const login = createLoginEndpoints(
    {
      ...{ database, sealer, providers, redirectUris, vault, open, refresh, publicUrl, routePrefix },
      ...{ returnUrls: [returnUrl], loginScope: 'profile', linkVerifiedEmail: [] },
      ...given,
    },
    act,
  )
  const elsewhere: OAuthStep = () => {
    throw new Error('not of this test')
  }
  const errorCodes: (string | undefined)[] = []
  const app = new Koa<DoorState>()
  app.use(createBegin({ identify: createIdentifyCaller([]) }))
  app.use(async (ctx, next) => {
    await next()
    errorCodes.push(ctx.state.errorCode)
  })
  app.use(createErrorBoundary({ log, draining: () => false }))
  app.use(checkPath)
  app.use(
    createOAuthRoutes({
      ...{ routePrefix, act, login, exchange: elsewhere, providerList: elsewhere, loginPage: elsewhere },
      identifyClient: createIdentifyClient({
        clients,
        failures: { blocked: async () => {}, failed: async () => {} },
      }),
      requestLimit: given.requestLimit ?? {
        count: (_ctx, next) => next(),
        settle: (_ctx, next) => next(),
      },
      connections: { list: elsewhere, show: elsewhere, refresh: elsewhere, remove: elsewhere },
    }),
  )
  const url = await serve(t, app.callback())
  const { host } = new URL(publicUrl)

  const ask: LoginServer['ask'] = (path, { headers = {}, ...options } = {}) =>
    request(url + path, { ...options, headers: { host, ...browser, ...headers } })
  const start: LoginServer['start'] = async (provider = 'google', query = {}, cookie) => {
    const path = `${routePrefix}/oauth/${provider}/login?${new URLSearchParams(query)}`
    const reply = await ask(path, cookie === undefined ? {} : { headers: { cookie } })
    if (reply.status !== 302) throw new Error(`expected 302, found ${reply.status}`)
    const location = new URL(reply.headers.location!)
    return {
      location,
      state: location.searchParams.get('state')!,
      cookie: reply.headers['set-cookie']![0]!.split(';')[0]!,
    }
  }
  const loginInBrowser: LoginServer['loginInBrowser'] = async (provider, profile, query = {}) => {
    const { state, cookie } = await start(provider.name, query)
    const back = new URLSearchParams({ code: provider.codeFor(profile), state })
    const reply = await ask(`${routePrefix}/oauth/${provider.name}/callback?${back}`, { headers: { cookie } })
    if (reply.status !== 302) throw new Error(`expected 302, found ${reply.status}`)
    return { code: new URL(reply.headers.location!).searchParams.get('code')!, cookie }
  }
  return {
    ...parts,
    ...{ url, publicUrl, google, kakao, errorCodes, ask, start, loginInBrowser },
    login: async (...given) => (await loginInBrowser(...given)).code,
    async complete(body, headers = {}) {
      const reply = await ask(`${routePrefix}/oauth/login/complete`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
      return { status: reply.status, headers: reply.headers, json: JSON.parse(reply.body) }
    },
  }
}

function scriptedProvider(name: string, title: string): ScriptedProvider {
  const answers = new Map<string, ProviderProfile | Error>()
  const exchanges: CodeRequest[] = []
  const notAsked = () => {
    throw new Error('not of this test')
  }
  return {
    ...{ name, title, exchanges },
    codeFor(profile) {
      const code = `code-${randomUUID()}`
      answers.set(code, profile instanceof Error ? profile : account(profile))
      return code
    },
    async authorizationUrl({ redirectUri, state, nonce, codeVerifier }) {
      const query = { redirect_uri: redirectUri, state, nonce, code_challenge: challengeOf(codeVerifier) }
      return new URL(`https://${name}.example/authorize?${new URLSearchParams(query)}`)
    },
    async exchange(request): Promise<Grant> {
      exchanges.push(request)
      const answer = answers.get(request.code)
      if (answer === undefined) throw new Error('a code that nobody brought')
      if (answer instanceof Error) throw answer
      return {
        profile: answer,
        tokens: {
          accessToken: `access-${randomUUID()}`,
          tokenType: 'Bearer',
          refreshToken: `refresh-${randomUUID()}`,
          expiresAt: Math.round(Date.now() / 1000) + 3600,
          scope: 'profile email',
        },
      }
    },
    canRefresh: () => true,
    refresh: notAsked,
    keepAliveAt: () => undefined,
    revoke: notAsked,
  }
}

function keepLog({ lines }: TokenParts) {
  const keep = (level: string) => (fields: LogFields, message: string) =>
    void lines.push({ level, fields, message })
  return { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
}
