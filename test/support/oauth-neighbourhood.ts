import { hash, randomBytes } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { startDemoProvider } from '../../scripts/demo-provider.ts'
import { withDemoProvider } from '../../scripts/demo-settings.ts'
import { createSealer, type EncryptionKey } from '../../src/persistence/sealer.ts'
import { logInAtDemoProvider } from './demo-login.ts'
import { dialectNames, startDialects } from './dialects.ts'
import type { Secret } from './dump.ts'
import type { Answer } from './oauth-gateway.ts'
import { execute } from './postgres.ts'
import { type Replica, type ReplicaOptions, startReadyReplica } from './replica.ts'
import { startTurnstile } from './turnstile.ts'
import { httpUpstream } from './upstream.ts'
import { newKey } from './vault.ts'

export const publicUrl = 'https://gateway.example.com'
/** The front end that logins return to, and that brings codes itself. */
export const app = 'https://app.example.com/welcome'
/** Five dialects, Microsoft's, and an issuer that is known by discovery. */
export const providerNames = [...dialectNames, 'demo']
const takesNoPkce = new Set(['naver', 'facebook'])
const page = { accept: 'text/html' }

export interface Sent {
  readonly token?: string | undefined
  /** Sent as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** A gateway as browsers and front ends reach it: at its public address. */
export interface OAuthReplica extends Replica {
  send(method: string, path: string, sent?: Sent): Promise<Answer>
  /** As the client of GATEWAY_CLIENTS. */
  sendAsClient(method: string, path: string, body?: unknown): Promise<Answer>
}

/** A browser that is away at a provider. */
export interface Away {
  readonly provider: string
  readonly cookie: string
  readonly state: string
  readonly location: URL
  /** The front end's own. */
  readonly verifier: string
}

export interface LoggedIn {
  readonly subject: string
  /** The gateway's own. */
  readonly token: string
  readonly refreshToken: string
  /** Of the connection. */
  readonly id: string
  readonly cookie: string
}

/** Everything that nobody but its owner may ever see. */
export interface Kept {
  <Text extends string>(name: string, text: Text): Text
  all(): readonly Secret[]
}

export interface NeighbourhoodOptions {
  readonly databaseUrl: string
  readonly env?: Readonly<Record<string, string>>
  /** Brings up the issuer that is known by discovery as well. */
  readonly demo?: boolean
}

/** The providers, one before which nobody passes unseen, a house, and what starts gateways among them. */
export async function oauthNeighbourhood(t: ExecutionContext, options: NeighbourhoodOptions) {
  const { databaseUrl, env: more = {}, demo: withDemo = false } = options
  const keep = createKept()
  const replies: Answer[] = []
  const dialects = await startDialects(t)
  const door = await startTurnstile(t, dialects.origin)
  const clientSecret = keep('secret of the house', randomBytes(24).toString('base64url'))
  const key = newKey('first')
  const redirectUris = [`${publicUrl}/oauth/demo/callback`]
  const demo = withDemo ? await startDemoProvider({ port: 0, host: '127.0.0.1', redirectUris }) : undefined
  if (demo !== undefined) t.teardown(() => demo.stop())
  const demoDoor = demo && (await startTurnstile(t, demo.issuer))
  const house = await httpUpstream(t, (request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(request.headers))
  })
  const env: Record<string, string> = {
    PUBLIC_URL: publicUrl,
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEYS: `${key.id}:${key.secret}`,
    GATEWAY_CLIENTS: `house:${clientSecret}`,
    TOKEN_RATE_LIMIT: '1000000/1m',
    TOKEN_FAILURE_LIMIT: '1000000/1m',
    LOGIN_RETURN_URLS: app,
    OAUTH_REDIRECT_URIS: app,
    LOG_LEVEL: 'debug',
    ...dialects.env(),
    MICROSOFT_TOKEN_URL: `${door.origin}/microsoft/token`,
    ...(demo && (withDemoProvider({}, demo.issuer) as Record<string, string>)),
    ...(demoDoor && {
      OIDC_DEMO_TOKEN_URL: `${demoDoor.origin}/token`,
      OIDC_DEMO_REVOCATION_URL: `${demoDoor.origin}/token/revocation`,
    }),
    ...more,
  }
  /** A house for each provider, whose token it is handed. */
  const services = Object.fromEntries(
    providerNames.map((name) => [
      `with-${name}`,
      { urls: [house.origin], path: `/api/with/${name}`, inject: name, openapi: false },
    ]),
  )
  const optionsWith = (given: Readonly<Record<string, string>>): ReplicaOptions => ({
    ...{ house: house.origin, services, env: { ...env, ...given } },
  })
  const start = async (given: Readonly<Record<string, string>> = {}) =>
    asOAuthReplica(await startReadyReplica(t, optionsWith(given)), clientSecret, replies)

  const sayYes = (to: URL) =>
    to.origin === dialects.origin ? dialects.sayYes(to) : logInAtDemoProvider(to, { name: 'Mun Ji' })

  async function begin(gateway: OAuthReplica, provider: string, query: object = {}): Promise<Away> {
    const verifier = keep('verifier of a front end', randomBytes(32).toString('base64url'))
    const parameters = {
      ...{ return_to: app, code_challenge: hash('sha256', verifier, 'base64url') },
      ...{ code_challenge_method: 'S256', ...query },
    }
    const reply = await gateway.send('GET', `/oauth/${provider}/login?${new URLSearchParams(parameters)}`)
    if (reply.status !== 302)
      throw new Error(`${provider}: expected 302, found ${reply.status}: ${reply.text}`)
    const location = new URL(reply.headers.get('location')!)
    const cookie = reply.headers.getSetCookie()[0]!.split(';')[0]!
    keep('cookie', cookie.split('=')[1]!)
    const state = keep('state', location.searchParams.get('state')!)
    const nonce = location.searchParams.get('nonce')
    if (nonce !== null) keep('nonce', nonce)
    return { provider, cookie, state, location, verifier }
  }

  /** A browser that comes back to the gateway, with whatever it brings. */
  const comeBack = (gateway: OAuthReplica, provider: string, query: string, cookie?: string) =>
    gateway.send('GET', `/oauth/${provider}/callback${query}`, {
      headers: { ...page, ...(cookie !== undefined && { cookie }) },
    })

  /** A whole login: begun at the first gateway, come back to the second, completed at the third. */
  async function logIn(
    [first, second = first, third = second]: readonly OAuthReplica[],
    provider: string,
  ): Promise<LoggedIn> {
    const away = await begin(first!, provider)
    const back = await sayYes(away.location)
    keep('code', back.searchParams.get('code')!)
    const returned = await comeBack(second!, provider, back.search, away.cookie)
    if (returned.status !== 302) throw new Error(`${provider}: ${returned.status} ${returned.text}`)
    const code = keep('login code', new URL(returned.headers.get('location')!).searchParams.get('code')!)
    const body = { code, code_verifier: away.verifier }
    const { status, json, text } = await third!.send('POST', '/oauth/login/complete', { body })
    if (status !== 200) throw new Error(`${provider}: ${status} ${text}`)
    keep('access token of the gateway', json.access_token)
    keep('refresh token of the gateway', json.refresh_token)
    const { subject, connection_id: id, access_token: token, refresh_token: refreshToken } = json
    return { subject, id, token, refreshToken, cookie: away.cookie }
  }

  /** A code that a front end has got itself, as POST /oauth takes it. */
  async function codeOf(provider: string) {
    const verifier = keep('verifier', randomBytes(32).toString('base64url'))
    const [state, nonce] = [keep('state', randomBytes(12).toString('hex')), randomBytes(12).toString('hex')]
    const prefix = provider.toUpperCase()
    const url = new URL(env[`${prefix}_AUTHORIZATION_URL`]!)
    url.search = new URLSearchParams({
      ...{ response_type: 'code', client_id: env[`${prefix}_CLIENT_ID`]!, redirect_uri: app, state, nonce },
      ...(provider !== 'naver' && provider !== 'facebook' && { scope: 'openid email user:email' }),
      ...(!takesNoPkce.has(provider) && {
        code_challenge: hash('sha256', verifier, 'base64url'),
        code_challenge_method: 'S256',
      }),
    }).toString()
    const back = (await dialects.sayYes(url)).searchParams
    const code = keep('code', back.get('code')!)
    const iss = back.get('iss')
    const proofs = { code_verifier: verifier, state, nonce, ...(iss !== null && { iss }) }
    return { provider, code, redirect_uri: app, ...proofs }
  }

  /** Connects an account to a subject; gives the reply. */
  const bring = async (gateway: OAuthReplica, provider: string, subject: string) =>
    gateway.sendAsClient('POST', '/oauth', { ...(await codeOf(provider)), subject })

  const sql = (statement: string) => execute(databaseUrl, statement)

  /** As if time had gone by, and nothing had failed. */
  const expire = (ids: readonly string[]) =>
    sql(`update munjigi.connections set failures = 0, retry_at = null, expires_at = now() - interval '1 minute'
      where id in (${ids.map((id) => `'${id}'`).join()})`)

  /** Every secret there is by now; of the database's too, where its keys are given. */
  async function secrets(keys: readonly EncryptionKey[] = [key]): Promise<readonly Secret[]> {
    for (const issued of dialects.issued) keep('issued by a provider', issued)
    for (const secret of dialects.secrets) keep('client secret', secret)
    if (demo !== undefined) keep('client secret of demo', demo.client.secret)
    for (const { parameters } of dialects.requests) {
      for (const name of ['code_verifier', 'code', 'appsecret_proof', 'refresh_token']) {
        const value = parameters.get(name)
        if (value) keep(`${name} sent to a provider`, value)
      }
    }
    for (const { id, secret } of keys) keep(`encryption key ${id}`, secret)
    keep('password of the database', new URL(databaseUrl).password)
    for (const [place, text] of await openedColumns(databaseUrl, keys)) keep(place, text)
    return keep
      .all()
      .map((one) =>
        one.name.startsWith('encryption key') ? { ...one, bytes: Buffer.from(one.text, 'base64') } : one,
      )
  }

  return {
    ...{ dialects, demoDoor, door, keep, key, env, clientSecret, replies, start, sayYes },
    ...{ begin, comeBack, logIn, codeOf, bring, sql, expire, secrets },
  }
}

export type OAuthNeighbourhood = Awaited<ReturnType<typeof oauthNeighbourhood>>

function createKept(): Kept {
  const kept = new Map<string, string>()
  const keep = <Text extends string>(name: string, text: Text) => {
    if (!kept.has(text)) kept.set(text, name)
    return text
  }
  return Object.assign(keep, { all: () => [...kept].map(([text, name]) => ({ name, text })) })
}

function asOAuthReplica(replica: Replica, clientSecret: string, replies: Answer[]): OAuthReplica {
  const { host } = new URL(publicUrl)
  const send: OAuthReplica['send'] = async (method, path, { token, body, headers = {} } = {}) => {
    const reply = await replica.ask(path, token, {
      method,
      headers: { host, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const pairs = reply.rawHeaders.flatMap((name, at, all): [string, string][] =>
      at % 2 === 0 ? [[name, all[at + 1]!]] : [],
    )
    const text = Buffer.from(reply.body, 'latin1').toString()
    const isJson = /\bjson\b/.test(reply.headers['content-type'] ?? '')
    const answer: Answer = {
      ...{ status: reply.status, headers: new Headers(pairs), text },
      json: isJson && text !== '' ? JSON.parse(text) : undefined,
    }
    replies.push(answer)
    return answer
  }
  const authorization = `Basic ${Buffer.from(`house:${clientSecret}`).toString('base64')}`
  return {
    ...replica,
    send,
    sendAsClient: (method, path, body) => send(method, path, { body, headers: { authorization } }),
  }
}

/** What the sealed columns hold, by the place that each is sealed for. */
async function openedColumns(databaseUrl: string, keys: readonly EncryptionKey[]) {
  const sealer = createSealer(keys)
  const rows = await execute(
    databaseUrl,
    `select 'connections.access_token:' || id as place, sealed_access_token as sealed from munjigi.connections
    union all select 'connections.refresh_token:' || id, sealed_refresh_token from munjigi.connections
    union all select 'login_attempts.secrets:' || state_hash, sealed_secrets from munjigi.login_attempts
    union all select 'login_codes.grant:' || hash, sealed_grant from munjigi.login_codes
    union all select 'provider_revocations.tokens:' || id, sealed_tokens from munjigi.provider_revocations`,
  )
  const found: [string, string][] = []
  for (const { place, sealed } of rows as unknown as { place: string; sealed: string | null }[]) {
    if (sealed === null) continue
    // One that was tampered with cannot be opened.
    const text = await sealer.open(sealed, place).catch(() => undefined)
    if (text === undefined) continue
    if (place.startsWith('connections.')) found.push([place, text])
    else for (const one of secretTexts(JSON.parse(text))) found.push([place, one])
  }
  return found
}

const secretNames = new Set(['accessToken', 'refreshToken', 'nonce', 'codeVerifier'])

/** The members of a sealed object that are secrets themselves. */
function secretTexts(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, one]) =>
    typeof one === 'string' ? (secretNames.has(name) ? [one] : []) : secretTexts(one),
  )
}
