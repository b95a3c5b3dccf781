import { bare } from './bare.ts'
import { caddy } from './caddy.ts'
import { expressGateway } from './express-gateway.ts'
import { fastifyHttpProxy } from './fastify-http-proxy.ts'
import { haproxy } from './haproxy.ts'
import { httpProxyMiddleware, httpProxyMiddlewareAsShipped } from './http-proxy-middleware.ts'
import { koaProxies, koaProxiesAsShipped } from './koa-proxies.ts'
import { munjigi } from './munjigi.ts'
import { nginx } from './nginx.ts'
import type { Relay } from './relay.ts'

/** Everything that is measured, in the order of the tables. A new peer is one file and one line. */
export const relays: readonly Relay[] = [
  bare,
  munjigi,
  fastifyHttpProxy,
  httpProxyMiddleware,
  httpProxyMiddlewareAsShipped,
  koaProxies,
  koaProxiesAsShipped,
  expressGateway,
  nginx,
  haproxy,
  caddy,
]
