import { randomBytes, randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import type { TokensConfig } from '../../src/config/config.ts'
import { createBegin } from '../../src/door/begin.ts'
import { createErrorBoundary } from '../../src/door/error-boundary.ts'
import { createIdentifyCaller } from '../../src/door/forwarded.ts'
import type { DoorState } from '../../src/door/state.ts'
import type { LogFields } from '../../src/observability/log.ts'
import type { Database } from '../../src/persistence/database.ts'
import { createSealer } from '../../src/persistence/sealer.ts'
import { createOpen } from '../../src/tokens/create.ts'
import { createDenials, type Denials } from '../../src/tokens/denials.ts'
import { createDummies, type Dummies } from '../../src/tokens/dummies.ts'
import { createInspect, type Inspect } from '../../src/tokens/introspect.ts'
import { createIssuer } from '../../src/tokens/issue.ts'
import { createKeyRing, type KeyRing } from '../../src/tokens/keys.ts'
import { createTokenRoutes, type TokenRoutesOptions } from '../../src/tokens/routes.ts'
import { createVerifier, type Verifier } from '../../src/tokens/verify.ts'
import { type EmbeddedConfig, type PostgresConfig, startDatabase } from './database.ts'
import { serve } from './serve.ts'
import { until } from './until.ts'

/** What the endpoints stand on: a database with keys and denials, as one gateway process has them. */
export interface TokenParts {
  readonly database: Database
  readonly keys: KeyRing
  readonly denials: Denials
  readonly verifier: Verifier
  readonly inspect: Inspect
  readonly lines: { readonly level: string; readonly fields: LogFields; readonly message: string }[]
}

export interface TokenServer extends TokenParts {
  readonly url: string
  readonly dummies: Dummies
  /** Posts JSON; as the client `auth` unless told otherwise. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** Posts a form, as nobody unless told otherwise. */
  form(path: string, body: string, headers?: Readonly<Record<string, string>>): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came; the test says what it expects of it.
  readonly json: any
}

export const issuer = 'https://www.example.com'
export const clients = [
  { id: 'auth', secret: 'the secret+of/auth=' },
  { id: 'shop', secret: 'the-secret-of-shop' },
] as const
/** The second secret of the first one, as while it is changed. */
export const nextSecret = 'the-next-secret-of-auth'

export const basic = (id: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
export const asAuth = basic(clients[0].id, clients[0].secret)
export const asShop = basic(clients[1].id, clients[1].secret)
export const asNobody = {}

/** A subject that no other test has. */
export const someone = () => `user-${randomUUID()}`

/** Made once for all tests of a file, by the first that asks; taken down after the last. */
export function shared<T>(make: (t: ExecutionContext) => Promise<T>): () => Promise<T> {
  const teardowns: (() => unknown)[] = []
  const context = { teardown: (fn: () => unknown) => void teardowns.push(fn) } as unknown as ExecutionContext
  let made: Promise<T> | undefined
  test.after.always(async () => {
    for (const teardown of teardowns.reverse()) await teardown()
  })
  return () => {
    made ??= make(context)
    return made
  }
}

/** The endpoints on a database that no other file has: made by the first test that asks, for all of them. */
export const sharedTokenServer = (fresh: (t: ExecutionContext) => Promise<EmbeddedConfig | PostgresConfig>) =>
  shared(async (t) => startTokenServer(t, await startTokenParts(t, await fresh(t))))

const lifetime = 900

export async function startTokenParts(
  t: ExecutionContext,
  config: EmbeddedConfig | PostgresConfig,
): Promise<TokenParts> {
  const lines: TokenParts['lines'] = []
  const keep = (level: string) => (fields: LogFields, message: string) =>
    void lines.push({ level, fields, message })
  const log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
  const database = await startDatabase(t, config, { log })
  const keys = createKeyRing({
    database,
    sealer: createSealer([{ id: 'test', secret: randomBytes(32).toString('base64') }]),
    log,
    signingKeyLifetimeSeconds: 86_400,
    pollingIntervalMs: 60_000,
  })
  const denials = createDenials({ database, log, pollingIntervalMs: 60_000, maxStalenessMs: 600_000 })
  keys.start()
  denials.start()
  await until(() => keys.active() !== undefined && denials.isFresh(), 'there is a key to sign with')
  const verifier = createVerifier({ keys, issuer, audience: issuer, trusted: [] })
  const inspect = createInspect(verifier, denials)
  return { database, keys, denials, verifier, inspect, lines }
}

export interface TokenServerOptions {
  readonly config?: Partial<TokensConfig>
  readonly routes?: Partial<TokenRoutesOptions>
}

/** The token endpoints behind the door's error boundary, on a free port. */
export async function startTokenServer(
  t: ExecutionContext,
  parts: TokenParts,
  { config = {}, routes = {} }: TokenServerOptions = {},
): Promise<TokenServer> {
  const { lines } = parts
  const keep = (level: string) => (fields: LogFields, message: string) =>
    void lines.push({ level, fields, message })
  const log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
  const dummies = createDummies({ origins: [issuer, 'https://app.example.com'] })
  const tokensConfig = {
    issuer,
    audience: issuer,
    clients: [...clients, { id: clients[0].id, secret: nextSecret }],
    accessTokenLifetime: lifetime,
    refreshTokenLifetime: 86_400,
    sessionLifetime: 864_000,
    signingKeyLifetime: 86_400,
    refreshGraceMs: 0,
    verifiedTokens: 0,
    dummies: true,
    ...config,
  }
  const tokenIssuer = createIssuer({
    keys: parts.keys,
    issuer,
    audience: tokensConfig.audience,
    accessTokenLifetimeSeconds: tokensConfig.accessTokenLifetime,
  })
  const tokens = createTokenRoutes({
    config: tokensConfig,
    publicUrl: issuer,
    routePrefix: '',
    database: parts.database,
    keys: parts.keys,
    issuer: tokenIssuer,
    open: createOpen({
      database: routes.database ?? parts.database,
      issuer: tokenIssuer,
      lifetimes: tokensConfig,
    }),
    denials: parts.denials,
    inspect: parts.inspect,
    dummies,
    successorKeys: [Buffer.alloc(32, 7)],
    requestLimit: { count: (_ctx, next) => next(), settle: (_ctx, next) => next() },
    failures: { blocked: async () => {}, failed: async () => {} },
    log,
    ...routes,
  })
  const app = new Koa<DoorState>()
  app.use(createBegin({ identify: createIdentifyCaller([]) }))
  app.use(createErrorBoundary({ log, draining: () => false }))
  app.use(tokens.middleware)
  const url = await serve(t, app.callback())

  async function send(path: string, type: string, body: string, headers: Readonly<Record<string, string>>) {
    const reply = await fetch(url + path, {
      method: 'POST',
      headers: { 'Content-Type': type, ...headers },
      body,
    })
    const text = await reply.text()
    return {
      status: reply.status,
      headers: reply.headers,
      text,
      json: text === '' ? undefined : JSON.parse(text),
    }
  }
  return {
    ...parts,
    url,
    dummies,
    post: (path, body, headers = asAuth) =>
      send(path, 'application/json', typeof body === 'string' ? body : JSON.stringify(body), headers),
    form: (path, body, headers = asNobody) => send(path, 'application/x-www-form-urlencoded', body, headers),
  }
}
