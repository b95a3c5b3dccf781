import type { ConsulOptions } from '../discovery/consul/settings.ts'
import type { Description } from '../discovery/description.ts'
import type { DiscoverySource } from '../discovery/source.ts'
import type { ConfiguredProvider, ProviderOff } from '../oauth/provider.ts'
import type { SettingValues } from './settings.ts'

/** Everything the gateway was told, checked and frozen: the only thing createGateway reads. */
export interface Config {
  readonly environment: 'development' | 'production' | 'test'
  readonly host: string
  readonly port: number
  /** What browsers see, without a trailing slash. */
  readonly publicUrl: string
  /** Where the gateway's own endpoints are mounted: empty or `/e`. */
  readonly routePrefix: string
  readonly logLevel: LogLevel
  /** Whether the log and the traces tell paths, or routes alone. */
  readonly logPaths: 'full' | 'route'
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
  /** For stored replies, of each process; 0 for no cache. */
  readonly cacheSizeBytes: number
  readonly drain: { readonly delayMs: number; readonly timeoutMs: number }
  /** Processes that serve together. */
  readonly workers: number
  readonly discovery: {
    /** In order of precedence, each with the options it read from the environment. */
    readonly sources: readonly ConfiguredSource[]
    /** How long the last known instances are kept when a source says that there are none. */
    readonly holdMs: number
  }
  /** gateway.yaml's services by name: what the operator says wins over what a service says of itself. */
  readonly services: ReadonlyMap<string, Description>
  /** Instances that were written down, in gateway.yaml or `<NAME>_SERVICE_URL`, by service. */
  readonly urls: ReadonlyMap<string, readonly string[]>
  readonly database: DatabaseConfig
  readonly tokens: TokensConfig
  readonly oauth: OAuthConfig
  readonly protection: ProtectionConfig
  readonly admin: AdminConfig
  /** Undefined where traces are off. */
  readonly tracing: TracingConfig | undefined
  /** Where the gateway registers itself, if it does. */
  readonly registration: RegistrationConfig | undefined
}

/** Where what must outlive the process is kept. */
export type DatabaseConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'embedded'; readonly dataDir: string; readonly encryptionKeys: EncryptionKeysConfig }
  | {
      readonly kind: 'postgres'
      /** Holds a password. */
      readonly url: string
      readonly poolSize: number
      readonly statementTimeoutMs: number
      readonly connectTimeoutMs: number
      readonly encryptionKeys: EncryptionKeysConfig
    }

/** Key-encryption keys, newest first; or the file they are read from, and generated into where it is missing. */
export type EncryptionKeysConfig =
  | { readonly keys: readonly { readonly id: string; readonly secret: string }[] }
  | { readonly file: string }

export interface TokensConfig {
  readonly issuer: string
  readonly audience: string
  readonly clients: readonly { readonly id: string; readonly secret: string }[]
  /** Lifetimes in seconds, OAuth's unit. */
  readonly accessTokenLifetime: number
  readonly refreshTokenLifetime: number
  readonly sessionLifetime: number
  readonly signingKeyLifetime: number
  readonly refreshGraceMs: number
  readonly revocation: { readonly pollingIntervalMs: number; readonly maxStalenessMs: number }
  /** How many verified tokens are remembered. */
  readonly verifiedTokens: number
  readonly trustedIssuers: readonly TrustedIssuerConfig[]
  /** As they are sent to houses. */
  readonly headers: { readonly id: string; readonly scope: string; readonly issuer: string }
  /** Whether `/tokens/dummy` is there: never in production. */
  readonly dummies: boolean
}

export interface TrustedIssuerConfig {
  readonly issuer: string
  readonly jwksUrl: string
  readonly audience: string
}

/** Logging in with accounts elsewhere, and keeping their tokens. */
export interface OAuthConfig {
  readonly providers: readonly ConfiguredProvider[]
  /** Those that are known but not configured. */
  readonly off: readonly ProviderOff[]
  /** Of front ends that bring codes themselves, beside the gateway's own callbacks. */
  readonly redirectUris: readonly string[]
  /** Where a login may return to, beside the gateway's own login page. */
  readonly returnUrls: readonly string[]
  /** Space-separated. */
  readonly loginScope: string
  /** Names of providers whose verified e-mail addresses make accounts one. */
  readonly linkVerifiedEmail: readonly string[]
  readonly providerTimeoutMs: number
  readonly refreshAheadMs: number
  /** As it is sent to houses. */
  readonly tokenHeader: string
}

interface ProtectionConfig {
  readonly corsOrigins: readonly string[]
  /** The largest forwarded request body in bytes; undefined for no limit. */
  readonly bodyLimit: number | undefined
  /** Of the event loop, above which new requests are turned away; 0 for never. */
  readonly overloadDelayMs: number
  readonly tokenRate: RateConfig
  readonly tokenFailureRate: RateConfig
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** To whom spans are told, in OpenTelemetry's protocol over HTTP, and which. */
export interface TracingConfig {
  readonly url: string
  /** Hold secrets. */
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly compression: 'gzip' | 'none'
  readonly serviceName: string
  /** What else is said of the gateway. */
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: { readonly name: SettingValues['OTEL_TRACES_SAMPLER']; readonly ratio: number }
  readonly batch: {
    readonly delayMs: number
    readonly timeoutMs: number
    readonly queueSize: number
    readonly batchSize: number
  }
}

/** Where the gateway tells an operator how it is doing. */
export interface AdminConfig {
  /** Of the admin endpoints' own; undefined where they are on the main port. */
  readonly port: number | undefined
  readonly host: string
  /** Who bears it may ask from anywhere. */
  readonly token: string | undefined
}

/** So many in so many seconds. */
export interface RateConfig {
  readonly points: number
  readonly seconds: number
}

/** What gateway.yaml has a say in: what a running gateway takes over when the file changes. */
export interface RoutingConfig extends Pick<Config, 'services' | 'urls'> {
  readonly sources: readonly ConfiguredSource[]
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
