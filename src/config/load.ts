import { networkInterfaces as systemInterfaces, availableParallelism as systemParallelism } from 'node:os'
import type { Environment } from '../discovery/source.ts'
import type { ProviderKind } from '../oauth/provider.ts'
import { providerKinds } from '../oauth/providers/index.ts'
import { readAdmin } from './admin.ts'
import type { Config } from './config.ts'
import { readDatabase } from './database.ts'
import { readEnvironment, readSettings } from './environment.ts'
import { ConfigError, type Fault } from './fault.ts'
import { deepFreeze } from './freeze.ts'
import { readOAuth } from './oauth.ts'
import type { NetworkInterfaces } from './own-address.ts'
import { readRegistration } from './registration.ts'
import { type FileText, type RoutingFile, readRouting } from './routing.ts'
import type { SettingValues } from './settings.ts'
import type { DiscoverySources } from './sources.ts'
import { readTokens } from './tokens.ts'
import { readTracing } from './tracing.ts'
import { readWorkers } from './workers-setting.ts'

export interface LoadInput {
  /** Usually `process.env`; wins over `.env`. */
  readonly env: Environment
  /** Where `.env` and `gateway.yaml` are looked for. */
  readonly cwd: string
  readonly sources: DiscoverySources
  readonly providers?: readonly ProviderKind[]
  readonly networkInterfaces?: NetworkInterfaces
  readonly availableParallelism?: () => number
  /** What another process has read and holds to: then `env` has `.env` in it, and neither file is read here. */
  readonly asRead?: { readonly routingText: FileText }
}

export interface OpenedConfig {
  readonly config: Config
  readonly file: RoutingFile
  /** With `.env`. */
  readonly environment: Environment
}

/**
 * Reads the environment, `.env` and gateway.yaml into one frozen Config.
 * @throws {ConfigError} with every fault there is, not only the first.
 */
export function loadConfig(input: LoadInput): Config {
  return openConfig(input).config
}

/**
 * As loadConfig, with the file that a running gateway keeps an eye on.
 * @throws {ConfigError} with every fault there is, not only the first.
 */
export function openConfig(input: LoadInput): OpenedConfig {
  const { env, cwd, sources, asRead, providers = providerKinds } = input
  const { networkInterfaces = systemInterfaces, availableParallelism = systemParallelism } = input
  const { environment, faults } = asRead ? { environment: env, faults: [] } : readEnvironment(env, cwd)
  const read = readSettings(environment)
  faults.push(...read.faults)
  const discovery = read.values.DISCOVERY ?? []
  const fileFaults: Fault[] = []
  const { routing, file } = readRouting({ environment, cwd, discovery, sources, asRead }, faults, fileFaults)
  const registration = readRegistration(
    { values: read.values, discovery, sources: routing.sources, networkInterfaces },
    faults,
  )
  const database = readDatabase(read.values, environment, cwd, faults)
  const workers = readWorkers(read.values, environment, availableParallelism, faults)
  const tokens = readTokens(read.values, faults)
  const oauth = readOAuth(read.values, environment, providers, faults)
  const admin = readAdmin(read.values, faults)
  const tracing = readTracing(read.values, faults)
  faults.push(...fileFaults)
  if (faults.length > 0) throw new ConfigError(faults)

  // Complete, since nothing was at fault.
  const values = read.values as SettingValues
  const config: Config = deepFreeze({
    environment: values.NODE_ENV,
    host: values.HOST,
    port: values.PORT,
    publicUrl: values.PUBLIC_URL,
    routePrefix: values.ROUTE_PREFIX ?? '',
    logLevel: values.LOG_LEVEL,
    logPaths: values.LOG_PATHS,
    trustedProxies: values.TRUSTED_PROXIES ?? [],
    timeouts: {
      connectMs: values.CONNECT_TIMEOUT,
      requestMs: values.REQUEST_TIMEOUT,
      idleMs: values.IDLE_TIMEOUT,
      webSocketIdleMs: values.WEBSOCKET_IDLE_TIMEOUT,
    },
    cacheSizeBytes: values.CACHE_SIZE,
    drain: { delayMs: values.DRAIN_DELAY, timeoutMs: values.DRAIN_TIMEOUT },
    workers,
    discovery: { sources: routing.sources, holdMs: values.DISCOVERY_HOLD },
    services: routing.services,
    urls: routing.urls,
    database: database!,
    tokens,
    oauth,
    protection: {
      corsOrigins: values.CORS_ORIGINS ?? [],
      bodyLimit: values.BODY_LIMIT,
      overloadDelayMs: values.OVERLOAD_DELAY,
      tokenRate: values.TOKEN_RATE_LIMIT,
      tokenFailureRate: values.TOKEN_FAILURE_LIMIT,
    },
    admin,
    tracing,
    registration,
  })
  return { config, file, environment }
}
