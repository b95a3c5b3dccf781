import { networkInterfaces as systemInterfaces } from 'node:os'
import { resolve } from 'node:path'
import type { Environment } from '../discovery/source.ts'
import type { ProviderKind } from '../oauth/provider.ts'
import { providerKinds } from '../oauth/providers/index.ts'
import type { Config } from './config.ts'
import { readDatabase } from './database.ts'
import { errorCode, readEnvironment, readOptional, readSettings } from './environment.ts'
import { ConfigError, type Fault, shown } from './fault.ts'
import { deepFreeze } from './freeze.ts'
import { type GatewayFile, parseGatewayFile } from './gateway-file.ts'
import { readOAuth } from './oauth.ts'
import { type NetworkInterfaces, readRegistration } from './registration.ts'
import { readServiceUrls } from './service-urls.ts'
import type { SettingValues } from './settings.ts'
import { type DiscoverySources, readSources } from './sources.ts'
import { readTokens } from './tokens.ts'

export interface LoadInput {
  /** Usually `process.env`; wins over `.env`. */
  readonly env: Environment
  /** Where `.env` and `gateway.yaml` are looked for. */
  readonly cwd: string
  readonly sources: DiscoverySources
  readonly providers?: readonly ProviderKind[]
  readonly networkInterfaces?: NetworkInterfaces
}

/**
 * Reads the environment, `.env` and gateway.yaml into one frozen Config.
 * @throws {ConfigError} with every fault there is, not only the first.
 */
export function loadConfig(input: LoadInput): Config {
  const { env, cwd, sources, providers = providerKinds, networkInterfaces = systemInterfaces } = input
  const { environment, faults } = readEnvironment(env, cwd)
  const read = readSettings(environment)
  faults.push(...read.faults)
  const file = readGatewayFile(environment, cwd, faults)
  const named = readServiceUrls(environment, [...file.services.keys()])
  faults.push(...named.faults)

  const discovery = read.values.DISCOVERY ?? []
  const configured = readSources(
    {
      names: discovery,
      sources,
      environment,
      urls: new Map([...file.urls, ...named.urls]),
      urlOrigin: (service) => named.origins.get(service) ?? file.urlNodes.get(service),
    },
    faults,
  )
  const registration = readRegistration(
    { values: read.values, discovery, sources: configured, networkInterfaces },
    faults,
  )
  const database = readDatabase(read.values, environment, cwd, faults)
  const tokens = readTokens(read.values, faults)
  const oauth = readOAuth(read.values, environment, providers, faults)
  faults.push(...file.faults)
  if (faults.length > 0) throw new ConfigError(faults)

  // Complete, since nothing was at fault.
  const values = read.values as SettingValues
  return deepFreeze({
    environment: values.NODE_ENV,
    host: values.HOST,
    port: values.PORT,
    publicUrl: values.PUBLIC_URL,
    routePrefix: values.ROUTE_PREFIX ?? '',
    logLevel: values.LOG_LEVEL,
    trustedProxies: values.TRUSTED_PROXIES ?? [],
    timeouts: {
      connectMs: values.CONNECT_TIMEOUT,
      requestMs: values.REQUEST_TIMEOUT,
      idleMs: values.IDLE_TIMEOUT,
      webSocketIdleMs: values.WEBSOCKET_IDLE_TIMEOUT,
    },
    drain: { delayMs: values.DRAIN_DELAY, timeoutMs: values.DRAIN_TIMEOUT },
    discovery: { sources: configured, holdMs: values.DISCOVERY_HOLD },
    services: file.services,
    database: database!,
    tokens,
    oauth,
    protection: {
      corsOrigins: values.CORS_ORIGINS ?? [],
      bodyLimit: values.BODY_LIMIT,
      tokenRate: values.TOKEN_RATE_LIMIT,
      tokenFailureRate: values.TOKEN_FAILURE_LIMIT,
    },
    registration,
  })
}

/** gateway.yaml, or what GATEWAY_CONFIG names. Only the former may be missing. */
function readGatewayFile(environment: Environment, cwd: string, faults: Fault[]): GatewayFile {
  const named = environment.GATEWAY_CONFIG
  const name = named ?? 'gateway.yaml'
  const text = readOptional(resolve(cwd, name))
  if (typeof text === 'string') return parseGatewayFile(name, text, environment)
  if (named !== undefined) {
    const found = `${shown(named)} (${text === undefined ? 'no such file' : errorCode(text)})`
    faults.push({ place: { variable: 'GATEWAY_CONFIG' }, found, expected: 'a YAML file that can be read' })
  } else if (text !== undefined) {
    const place = { file: name, line: 1, column: 1, key: '' }
    const found = `a file that cannot be read (${errorCode(text)})`
    faults.push({ place, found, expected: 'a YAML file' })
  }
  return { services: new Map(), urls: new Map(), urlNodes: new Map(), faults: [] }
}
