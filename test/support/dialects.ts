import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { createIdTokenSigner, type IdTokenSigner } from './dialect-id-tokens.ts'
import { dialects } from './dialect-providers.ts'
import { listenOnOwnPort } from './ports.ts'

/** How an endpoint misbehaves. What it sends holds tokens, or what it was sent: so that leaks are seen. */
export type Misbehaviour =
  | { readonly status: number; readonly body?: unknown }
  | 'hang' // never answers
  | 'stall' // never ends its body
  | 'reset'
  | 'html'
  | 'truncated'
  | 'huge' // 10 MB
  | 'redirect'
  | 'content-type'
  | 'error-200'
  | 'no-token'
  | 'wrong-types'
  | 'list'

export interface RecordedRequest {
  /** `google.token` */
  readonly endpoint: string
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<NodeJS.Dict<string | string[]>>
  readonly body: string
  /** Of the query, and of the body where it is a form. */
  readonly parameters: URLSearchParams
}

export interface Reply {
  readonly status: number
  readonly body?: unknown
  readonly form?: boolean
}

/** Somebody's yes. */
export interface TestGrant {
  readonly provider: string
  readonly clientId: string
  readonly scope: string
  readonly nonce: string | undefined
  /** Of the last refresh token; Kakao's has a life. */
  refreshedAt: number
  refreshToken: string | undefined
  alive: boolean
}

export interface PendingCode {
  readonly provider: string
  readonly redirectUri: string
  readonly challenge: string | undefined
  readonly state: string | null
  readonly grant: TestGrant
}

export interface TestUser {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly emailVerified: boolean
}

/** What the dialects share. */
export interface House {
  readonly origin: () => string
  readonly codes: Map<string, PendingCode>
  readonly accessTokens: Map<string, { readonly grant: TestGrant; readonly expiresAt: number }>
  readonly refreshTokens: Map<string, TestGrant>
  readonly signer: IdTokenSigner
  readonly users: Record<string, TestUser>
  /** Seconds that access tokens live. */
  readonly expiresIn: Record<string, number>
  /** GitHub: whether tokens expire, as a GitHub App's do. Kakao: whether the refresh token is in its last month. */
  readonly switches: {
    githubApp: boolean
    /** Whether it answers form-encoded whatever is asked for. */
    githubForm: boolean
    kakaoLastMonth: boolean
    idTokenClaims: Record<string, unknown>
  }
  clientSecret(provider: string): string
  /** Random, and remembered as issued. */
  secret(alphabet?: 'base64' | 'base64url'): string
  /** Remembers what was issued besides: an ID token. */
  remember(secret: string): void
}

export interface Dialects {
  readonly origin: string
  /** Settings that point a gateway at it; of all providers unless some are named. */
  env(...providers: string[]): Record<string, string>
  /** How often each endpoint was asked: `google.token`. */
  readonly calls: Readonly<Record<string, number>>
  readonly requests: readonly RecordedRequest[]
  /** Every code, access, refresh and ID token that it gave to anybody. */
  readonly issued: ReadonlySet<string>
  /** Client secrets. */
  readonly secrets: readonly string[]
  readonly house: House
  misbehave(endpoint: string, how: Misbehaviour | undefined): void
  /** How long an endpoint waits before it answers: what it does is done by then. */
  delay(endpoint: string, milliseconds: number): void
  /** Ends what a user granted: refresh tokens are dead from now on, and access tokens with them. */
  endGrants(provider: string): void
  /** Goes where a browser is sent, says yes, and gives the address that the browser is sent back to. */
  sayYes(authorizationUrl: URL | string): Promise<URL>
  close(): Promise<void>
}

export const dialectNames = Object.keys(dialects)

/** A server on a real socket that speaks the providers' dialects, errors included. */
export async function startDialects(t: Pick<ExecutionContext, 'teardown'>): Promise<Dialects> {
  const issued = new Set<string>()
  const calls: Record<string, number> = {}
  const requests: RecordedRequest[] = []
  const misbehaviours = new Map<string, Misbehaviour>()
  const delays = new Map<string, number>()
  const secrets = Object.fromEntries(dialectNames.map((name) => [name, randomBytes(24).toString('hex')]))
  const house: House = {
    origin: () => origin,
    codes: new Map(),
    accessTokens: new Map(),
    refreshTokens: new Map(),
    signer: createIdTokenSigner(),
    users: Object.fromEntries(
      dialectNames.map((name, index) => [
        name,
        { id: String(1000 + index), name: '문지기', email: `${name}@example.com`, emailVerified: true },
      ]),
    ),
    expiresIn: {},
    switches: { githubApp: true, githubForm: false, kakaoLastMonth: false, idTokenClaims: {} },
    clientSecret: (provider) => secrets[provider] ?? '',
    secret(alphabet = 'base64url') {
      // As Naver's: with every character that base64 has and base64url has not.
      const value =
        alphabet === 'base64'
          ? `AA+/${randomBytes(37).toString(alphabet)}`
          : randomBytes(36).toString(alphabet)
      issued.add(value)
      return value
    },
    remember: (secret) => void issued.add(secret),
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  const origin = `http://127.0.0.1:${await listenOnOwnPort(server)}`

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', origin)
    const [, provider = '', ...rest] = url.pathname.split('/')
    const dialect = dialects[provider]
    const action = dialect?.route(incoming.method ?? '', rest.join('/'))
    const endpoint = action === undefined ? 'elsewhere' : `${provider}.${action}`
    let body = ''
    for await (const chunk of incoming.setEncoding('utf8')) body += chunk
    const isForm = String(incoming.headers['content-type']).startsWith('application/x-www-form-urlencoded')
    const parameters = new URLSearchParams([
      ...url.searchParams,
      ...(isForm ? new URLSearchParams(body) : []),
    ])
    const request: RecordedRequest = {
      endpoint,
      method: incoming.method ?? '',
      url,
      headers: incoming.headers,
      body,
      parameters,
    }
    calls[endpoint] = (calls[endpoint] ?? 0) + 1
    requests.push(request)
    if (dialect === undefined || action === undefined) return send(response, { status: 404, body: {} })
    if (action === 'authorize') return sendBack(response, request, provider)
    const reply = await dialect.answer(action, request, house)
    const wait = delays.get(endpoint)
    if (wait !== undefined) await delay(wait, undefined, { ref: false })
    const how = misbehaviours.get(endpoint)
    if (how === undefined) send(response, reply)
    else await misbehave(response, request, reply, how)
  }

  /** The user has said yes at once. */
  function sendBack(response: ServerResponse, { parameters }: RecordedRequest, provider: string): void {
    const { scope, iss, takesPkce } = dialects[provider]!
    const redirectUri = parameters.get('redirect_uri') ?? ''
    const code = house.secret()
    const grant: TestGrant = {
      provider,
      clientId: parameters.get('client_id') ?? '',
      scope: parameters.get('scope')?.replaceAll(',', ' ') ?? scope,
      nonce: parameters.get('nonce') ?? undefined,
      refreshedAt: Date.now(),
      refreshToken: undefined,
      alive: true,
    }
    const challenge = takesPkce ? (parameters.get('code_challenge') ?? undefined) : undefined
    const state = parameters.get('state')
    house.codes.set(code, { provider, redirectUri, challenge, state, grant })
    const back = new URL(redirectUri)
    back.searchParams.set('code', code)
    if (state !== null) back.searchParams.set('state', state)
    const issuer = iss?.(house)
    if (issuer !== undefined) back.searchParams.set('iss', issuer)
    response.writeHead(302, { location: back.href }).end()
  }

  async function misbehave(
    response: ServerResponse,
    request: RecordedRequest,
    reply: Reply,
    how: Misbehaviour,
  ): Promise<void> {
    const json = JSON.stringify(reply.body ?? {})
    if (typeof how === 'object') return send(response, { body: reply.body, ...how })
    switch (how) {
      case 'hang':
        return
      case 'stall':
        response.writeHead(200, { 'content-type': 'application/json' }).write(json.slice(0, -1))
        return
      case 'reset':
        response.socket?.resetAndDestroy()
        return
      case 'html':
        response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${request.body} ${json}</p>`)
        return
      case 'truncated':
        response.writeHead(200, { 'content-type': 'application/json' }).end(json.slice(0, -2))
        return
      case 'huge':
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(`{"padding":"${'a'.repeat(10 * 1024 * 1024)}",${json.slice(1)}`)
        return
      case 'redirect':
        response
          .writeHead(307, { location: `${origin}/elsewhere`, 'content-type': 'application/json' })
          .end(json)
        return
      case 'content-type':
        response.writeHead(200, { 'content-type': 'text/plain' }).end(json)
        return
      case 'error-200':
        return send(response, { status: 200, body: { ...Object(reply.body), ...sameError(request) } })
      case 'no-token':
        return send(response, { status: 200, body: { token_type: 'bearer' } })
      case 'wrong-types':
        return send(response, {
          status: 200,
          body: {
            access_token: [json],
            token_type: 7,
            id: { json },
            sub: { json },
            response: json,
            keys: json,
          },
        })
      case 'list':
        return send(response, { status: 200, body: [reply.body] })
    }
  }

  async function close(): Promise<void> {
    server.closeAllConnections()
    if (server.listening) await new Promise((closed) => server.close(closed))
  }
  t.teardown(close)

  return {
    origin,
    calls,
    requests,
    issued,
    secrets: Object.values(secrets),
    house,
    env: (...names) =>
      Object.assign(
        {},
        ...(names.length === 0 ? dialectNames : names).map((name) => ({
          [`${name.toUpperCase()}_CLIENT_ID`]: `${name}-client`,
          [`${name.toUpperCase()}_CLIENT_SECRET`]: house.clientSecret(name),
          ...Object.fromEntries(
            Object.entries(dialects[name]!.settings).map(([suffix, path]) => [
              `${name.toUpperCase()}_${suffix}`,
              path.startsWith('=') ? path.slice(1) : `${origin}/${name}${path}`,
            ]),
          ),
        })),
      ),
    misbehave(endpoint, how) {
      if (how === undefined) misbehaviours.delete(endpoint)
      else misbehaviours.set(endpoint, how)
    },
    delay: (endpoint, milliseconds) => void delays.set(endpoint, milliseconds),
    endGrants(provider) {
      for (const grant of house.refreshTokens.values()) if (grant.provider === provider) grant.alive = false
      for (const { grant } of house.accessTokens.values())
        if (grant.provider === provider) grant.alive = false
    },
    async sayYes(authorizationUrl) {
      const response = await fetch(authorizationUrl, { redirect: 'manual' })
      const location = response.headers.get('location')
      if (location === null) throw new Error(`not sent back: status ${response.status}`)
      return new URL(location)
    },
    close,
  }
}

/** Its description repeats what was sent, as some do. */
const sameError = (request: RecordedRequest) => ({
  error: 'server_error',
  error_description: `${request.url.search} ${request.body} ${request.headers.authorization}`,
})

function send(response: ServerResponse, { status, body, form = false }: Reply): void {
  if (body === undefined) {
    response.writeHead(status).end()
    return
  }
  const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
  response.writeHead(status, { 'content-type': `${type};charset=utf-8` })
  response.end(form ? new URLSearchParams(body as Record<string, string>).toString() : JSON.stringify(body))
}

/** RFC 7636 §4.6. */
export const challengeOf = (verifier: string) => createHash('sha256').update(verifier).digest('base64url')
