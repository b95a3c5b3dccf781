import Router from '@koa/router'
import type { Middleware } from 'koa'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import { createReadBody } from '../tokens/body.ts'
import { serveOAuth } from '../tokens/serve-oauth.ts'
import type { TokenStep } from '../tokens/state.ts'
import type { ConnectionEndpoints } from './connections.ts'
import type { LoginEndpoints } from './login/login.ts'
import type { OAuthState, OAuthStep } from './state.ts'

export interface OAuthRoutesOptions {
  readonly routePrefix: string
  readonly identifyClient: TokenStep
  readonly requestLimit: { readonly count: TokenStep; readonly settle: TokenStep }
  readonly act: OAuthStep
  readonly exchange: OAuthStep
  readonly connections: ConnectionEndpoints
  readonly login: LoginEndpoints
  readonly providerList: OAuthStep
  readonly loginPage: OAuthStep
}

const uuid = '[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}'

/** Logins and the vault from one end to the other: each endpoint is the list of its steps. */
export function createOAuthRoutes(options: OAuthRoutesOptions): Middleware<DoorState> {
  const { routePrefix, identifyClient, requestLimit, act, exchange, connections, login } = options
  const { count, settle } = requestLimit
  const readBody = createReadBody()
  const whoever: OAuthStep[] = [count, readBody, identifyClient, settle] as unknown as OAuthStep[]
  const somebody: OAuthStep[] = [...whoever, act]
  const anybody = [count, settle] as unknown as OAuthStep[]

  const router = new Router<OAuthState>({ strict: true, sensitive: true })
  const at = (path: string) => `${routePrefix}/oauth${path}`
  router.get(at('/providers'), options.providerList)
  router.post(at(''), ...somebody, exchange)
  router.get(at(''), ...somebody, connections.list)
  router.post(at('/login/complete'), ...whoever, login.complete)
  router.get(at('/authorize'), login.showErrors, ...anybody, login.authorize)
  router.post(at('/token'), ...whoever, login.token)
  router.get(at('/:provider/login'), login.showErrors, ...anybody, login.login)
  router.get(at('/:provider/callback'), login.showErrors, ...anybody, login.callback)
  router.get(at('/:id'), onlyIds, ...somebody, connections.show)
  router.delete(at('/:id'), onlyIds, ...somebody, connections.remove)
  router.post(at('/:id/refresh'), onlyIds, ...somebody, connections.refresh)
  router.get(`${routePrefix}/login`, options.loginPage)
  return serveOAuth(router, at(''))
}

const isId = new RegExp(`^${uuid}$`)

/** What is no id of ours is nobody's connection, and nothing that a database need be asked. */
const onlyIds: OAuthStep = async (ctx, next) => {
  const { id = '' } = (ctx as unknown as { params: Record<string, string> }).params
  if (!isId.test(id)) throw new GatewayError('not_found', { detail: 'There is no such connection.' })
  return next()
}

/** The same paths of a gateway without a database: they say why there is nothing. */
export function createNoOAuthRoutes({ routePrefix }: { routePrefix: string }): Middleware<DoorState> {
  return (ctx, next) => {
    const isOAuth = ctx.path === `${routePrefix}/oauth` || ctx.path.startsWith(`${routePrefix}/oauth/`)
    if (!isOAuth && ctx.path !== `${routePrefix}/login`) return next()
    throw new GatewayError('not_found', {
      detail: 'This gateway has no database (DATABASE_URL=none), and so no logins and no vault.',
    })
  }
}
