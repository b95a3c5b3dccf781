import { createRequire } from 'node:module'
import type { Middleware } from 'koa'
import type { ResponseCache } from '../cache/cache.ts'
import type { DoorState } from '../door/state.ts'
import { GatewayError } from '../errors.ts'
import type { Inject } from '../oauth/inject.ts'
import type { Guard } from '../tokens/guard.ts'
import type { Pass } from '../tokens/verified.ts'
import { Exchange } from './exchange.ts'
import type { ExchangeContext } from './exchange-context.ts'
import type { ForwardedIdentity } from './headers.ts'
import { forwardedTarget, type ProxyRoutes } from './routes.ts'

/** As much of koa-proxies as is used; its own types describe http-proxy's options, which are not. */
type KoaProxies = {
  (
    path: RegExp,
    options: (params: unknown, exchange: Exchange) => ProxyCall | false,
  ): (context: Exchange, next: () => Promise<void>) => Promise<void>
  readonly proxy: { web: (request: Exchange, response: Exchange, call: ProxyCall) => void }
}

interface ProxyCall {
  readonly rewrite: (url: string, exchange: Exchange) => string
}

const koaProxies = createRequire(import.meta.url)('koa-proxies') as KoaProxies

// koa-proxies forwards through one http-proxy server for the whole process. Its engine is replaced by the
// exchange's own pass on undici: the defects of http-proxy 1.18 are listed, each with its probe, in
// docs/adr/0001. Replacing `web` rather than its list of passes also does away with the util._extend call in
// front of that list (DEP0060). It holds no state, so that several gateways may live in one process.
koaProxies.proxy.web = (exchange) => exchange.send(exchange.route!)

const forwardCall: ProxyCall = { rewrite: (url, exchange) => forwardedTarget(url, exchange.route!.cut) }

export interface ProxyOptions {
  readonly routes: ProxyRoutes
  readonly context: Omit<ExchangeContext, 'renew'>
  /** Who is calling, as the house will be told; made only where a route leads on. */
  readonly identify: (state: DoorState) => ForwardedIdentity
  /** Whether the caller may pass, and who it is. */
  readonly guard: Guard
  /** For the routes that hand their houses a provider's token. */
  readonly inject: Inject
  /** For the routes that ask for one; undefined where CACHE_SIZE is 0. */
  readonly cache: Pick<ResponseCache, 'visit'> | undefined
}

/**
 * TRACE would show whoever can have it sent what the house was sent on his behalf (RFC 9110 §9.3.8).
 * @throws GatewayError `method_not_allowed` (405)
 */
export function checkMethod(method: string): void {
  if (method !== 'TRACE') return
  throw new GatewayError('method_not_allowed', {
    detail: 'TRACE is not forwarded.',
    headers: { Allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
  })
}

/**
 * The proxy: finds the route, has the caller checked, picks an instance and forwards. Where no token has to be
 * verified it is all one go: nothing is awaited before the request is on its way. Paths that no route leads to go
 * on to `next`.
 */
export function createProxy(options: ProxyOptions): Middleware<DoorState> {
  const { routes, identify, guard, inject, cache } = options
  const context: ExchangeContext = { ...options.context, renew: routes.renew }
  const forward = koaProxies(/^/, () => forwardCall)

  return (ctx, next) => {
    checkMethod(ctx.method)
    const { state, req, res } = ctx
    const found = routes.find(state.path)
    if (found === undefined) return next()
    const route = found.canary === undefined ? found : routes.choose(found, req.rawHeaders)
    const exchange = new Exchange(context, state.path, req, res, identify(state))
    exchange.route = route
    state.exchange = exchange
    const verdict = guard(route, req.rawHeaders)
    return verdict instanceof Promise ? verdict.then(enter) : enter(verdict)

    function enter(pass: Pass | undefined): Promise<void> {
      checkPresence()
      if (pass !== undefined) state.subject = pass.identity.subject
      if (route.rate !== undefined) {
        const left = route.rate.enter(state.caller.address, pass)
        res.setHeader('RateLimit-Policy', route.rate.policy)
        res.setHeader('RateLimit', left)
      }
      // A provider may have to be asked for it: not for somebody whom the limit refuses.
      if (route.inject !== undefined && pass !== undefined) return inject(pass, route.inject).then(send)
      return send(pass)
    }

    function send(pass: Pass | undefined): Promise<void> {
      checkPresence()
      if (pass !== undefined) exchange.user = pass.headers
      // The exchange writes the reply itself; where it does not, the error boundary gives Koa its say back.
      ctx.respond = false
      if (route.cache === undefined || cache === undefined) return forward(exchange, next)
      return cache.visit({
        ...{ exchange, context, route, incoming: req, outgoing: res },
        origin: `${state.caller.proto}://${state.caller.host ?? ''}`,
        isIdentified: pass !== undefined,
        forward: () => forward(exchange, next),
      })
    }

    /** Whoever has left while something was waited for is not counted, and nothing is sent for him. */
    function checkPresence(): void {
      if (!res.destroyed) return
      exchange.failure = new GatewayError('client_closed_request')
      throw exchange.failure
    }
  }
}
