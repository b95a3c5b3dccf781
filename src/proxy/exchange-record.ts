import type { CacheResult } from '../cache/counts.ts'
import type { GatewayError } from '../errors.ts'
import { anonymous } from './headers.ts'
import { KoaProxiesContext } from './koa-proxies-context.ts'
import type { ProxyRoute } from './routes.ts'
import type { Upstream } from './upstreams.ts'

/** What is known of an exchange, for whoever put it on its way and for the access log. */
export abstract class ExchangeRecord extends KoaProxiesContext {
  route: ProxyRoute | undefined
  /** Who is calling, as the house will be told: name, value, name, value … */
  user: readonly string[] = anonymous
  upstream: Upstream | undefined
  attempts = 0
  /** Attempts whose head was written: those that a house may know of. */
  sent = 0
  /** Of those sent: on an instance that the address book no longer knew when the attempt failed. */
  departed = 0
  /** Attempts that came to nothing before anything was written. */
  unsent = 0
  bytesSent = 0
  /** Of the request's body, as far as an instance was sent it. */
  bytesReceived = 0
  failure: GatewayError | undefined
  /** What its route's cache did, where it has one. */
  cacheStatus: CacheResult | undefined
}
