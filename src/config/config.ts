import type { ConsulOptions } from '../discovery/consul/settings.ts'
import type { Description } from '../discovery/description.ts'
import type { DiscoverySource } from '../discovery/source.ts'

/** Everything the gateway was told, checked and frozen: the only thing createGateway reads. */
export interface Config {
  readonly environment: 'development' | 'production' | 'test'
  readonly host: string
  readonly port: number
  /** What browsers see, without a trailing slash. */
  readonly publicUrl: string
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** CIDRs whose `X-Forwarded-*` are believed. */
  readonly trustedProxies: readonly string[]
  readonly timeouts: {
    readonly connectMs: number
    /** From the request's last byte to the reply's head; a route may have its own. */
    readonly requestMs: number
    /** Longest silence within a body, either way. */
    readonly idleMs: number
    /** Longest silence on an open WebSocket. */
    readonly webSocketIdleMs: number
  }
  readonly drain: { readonly delayMs: number; readonly timeoutMs: number }
  readonly discovery: {
    /** In order of precedence, each with the options it read from the environment. */
    readonly sources: readonly ConfiguredSource[]
    /** How long the last known instances are kept when a source says that there are none. */
    readonly holdMs: number
  }
  /** gateway.yaml's services by name: what the operator says wins over what a service says of itself. */
  readonly services: ReadonlyMap<string, Description>
  /** Where the gateway registers itself, if it does. */
  readonly registration: RegistrationConfig | undefined
}

export interface ConfiguredSource<Options = unknown> {
  readonly source: DiscoverySource<Options>
  readonly options: Options
}

export interface RegistrationConfig {
  readonly consul: ConsulOptions
  readonly serviceName: string
  /** The address that Consul's health check and other services reach this process at. */
  readonly advertiseHost: string
}
