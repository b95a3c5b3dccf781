import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import Koa from 'koa'
import { createBegin } from '../../src/door/begin.ts'
import { createErrorBoundary } from '../../src/door/error-boundary.ts'
import { createIdentifyCaller } from '../../src/door/forwarded.ts'
import type { DoorState } from '../../src/door/state.ts'
import { createConnectionEndpoints } from '../../src/oauth/connections.ts'
import { createOAuthRoutes } from '../../src/oauth/routes.ts'
import type { OAuthStep } from '../../src/oauth/state.ts'
import type { Connection, FreshConnection, Vault } from '../../src/oauth/vault/vault.ts'
import { serve } from './serve.ts'

/** A connection of the vault's, as far as a test cares. */
export function connectionOf(given: Partial<Connection> = {}): Connection {
  return {
    id: randomUUID(),
    subject: 'user-1',
    provider: 'kakao',
    profile: { id: '42', emailVerified: false },
    scope: '',
    tokenType: 'Bearer',
    expiresAt: undefined,
    createdAt: new Date('2026-11-23T09:00:00.123Z'),
    updatedAt: new Date('2026-11-23T10:00:00.456Z'),
    lastRefreshedAt: undefined,
    state: 'active',
    ...given,
  }
}

export const withToken = (connection: Connection, accessToken = 'good'): FreshConnection => ({
  ...connection,
  accessToken,
})

/** What the vault does is for the test to say: here it is about how the endpoints take it. */
export async function startConnectionServer(
  t: ExecutionContext,
  given: Partial<Vault>,
  { providers = ['kakao'], subject = 'user-1', routePrefix = '' } = {},
) {
  const unexpected = async () => {
    throw new Error('the vault is not to be asked this')
  }
  const vault = { find: unexpected, list: unexpected, fresh: unexpected, refresh: unexpected } as const
  const nothing: OAuthStep = (_ctx, next) => next()
  const middleware = createOAuthRoutes({
    routePrefix,
    identifyClient: (_ctx, next) => next(),
    requestLimit: { count: (_ctx, next) => next(), settle: (_ctx, next) => next() },
    act(ctx, next) {
      ctx.state.actor = { subject, kind: 'user' }
      return next()
    },
    exchange: nothing,
    connections: createConnectionEndpoints({
      vault: { ...vault, remove: unexpected, ...given },
      providers: new Map(providers.map((name) => [name, { title: name }])),
      loginUrl: (provider) => `https://gateway.example.com/oauth/${provider}/login`,
    }),
    login: {
      showErrors: nothing,
      login: nothing,
      callback: nothing,
      complete: nothing,
      authorize: nothing,
      token: nothing,
    },
    providerList: nothing,
    loginPage: nothing,
  })
  const app = new Koa<DoorState>()
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  app.use(createBegin({ identify: createIdentifyCaller([]) }))
  app.use(createErrorBoundary({ log, draining: () => false }))
  app.use(middleware)
  const url = `${await serve(t, app.callback())}${routePrefix}/oauth`
  return async (path: string, init: RequestInit = {}) => {
    const reply = await fetch(url + path, init)
    return { status: reply.status, headers: reply.headers, json: JSON.parse(await reply.text()) }
  }
}
