import type { Config } from './config/config.ts'
import { ConfigError } from './config/fault.ts'
import { openConfig } from './config/load.ts'
import { isLoopback } from './config/loopback.ts'
import type { RoutingFile } from './config/routing.ts'
import { developmentClient } from './config/token-settings.ts'
import type { Environment } from './discovery/source.ts'
import { discoverySources } from './discovery/sources/index.ts'
import { createGateway, type Gateway } from './gateway.ts'
import { createLog, type GatewayLog } from './observability/log.ts'
import type { Embedded } from './persistence/embedded.ts'
import { readEncryptionKeys } from './persistence/encryption-keys.ts'
import type { EncryptionKey } from './persistence/sealer.ts'

/** A start that failed for a reason the operator can mend; the message says which, and nothing else is shown. */
class StartError extends Error {
  override name = 'StartError'
}

export interface StartOptions {
  /** The embedded database, where others of this process use it too; whoever opened it closes it. */
  readonly embedded?: Embedded
}

export interface StartedGateway extends Gateway {
  /** Where its own endpoints are, with ROUTE_PREFIX. */
  readonly url: string
}

/**
 * Reads the configuration, starts the gateway and says where it is.
 *
 * @throws StartError where the configuration is at fault or the address cannot be listened on
 */
export async function startGateway(
  env: Environment,
  cwd: string,
  options: StartOptions = {},
): Promise<StartedGateway> {
  const { config, file } = readConfig(env, cwd)
  const log = createLog({
    level: config.logLevel,
    format: config.environment === 'production' ? 'json' : 'people',
  })
  const encryptionKeys = await readKeys(config, log)
  const gateway = createGateway(config, { log, encryptionKeys, configFile: file, ...options })
  try {
    const { port, adminUrl } = await gateway.start()
    const url = urlOf(config, port)
    announce(config, url, adminUrl, log)
    return { ...gateway, url: `${url}${config.routePrefix}` }
  } catch (error) {
    throw new StartError(explainListen(error, config), { cause: error })
  }
}

function readConfig(env: Environment, cwd: string): { config: Config; file: RoutingFile } {
  try {
    return openConfig({ env, cwd, sources: discoverySources })
  } catch (error) {
    if (error instanceof ConfigError) throw new StartError(error.message, { cause: error })
    throw error
  }
}

function urlOf(config: Config, port: number): string {
  const host = ['0.0.0.0', '::'].includes(config.host) ? 'localhost' : config.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function readKeys({ database }: Config, log: GatewayLog): Promise<readonly EncryptionKey[]> {
  if (database.kind === 'none') return []
  try {
    return await readEncryptionKeys(database.encryptionKeys, log)
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function announce(config: Config, url: string, adminUrl: string | undefined, log: GatewayLog): void {
  const sources = config.discovery.sources.map(({ source }) => source.name)
  log.info({ url, environment: config.environment, discovery: sources }, `munjigi listens on ${url}`)
  if (adminUrl !== undefined) log.info({ url: adminUrl }, `admin endpoints on ${adminUrl}/admin`)
  if (config.environment === 'production') return
  log.info({}, `  API docs   ${url}${config.routePrefix}/docs`)
  // Under the public address and no other: a login that begins elsewhere cannot come back.
  if (config.database.kind !== 'none') {
    log.info({}, `  log in     ${config.publicUrl}${config.routePrefix}/login`)
  }
  log.info({}, `  try        curl ${url}/api/users`)
  const open = openInDevelopment(config)
  if (open.length === 0 || isLoopback(config.host)) return
  log.warn({ host: config.host }, `HOST is ${config.host}: whoever reaches it may use ${open.join(', and ')}`)
}

/** What everybody knows how to get tokens with. */
function openInDevelopment({ database, tokens, routePrefix }: Config): string[] {
  if (database.kind === 'none') return []
  const { id, secret } = developmentClient
  return [
    ...(tokens.dummies ? [`${routePrefix}/tokens/dummy, which makes a token of any text`] : []),
    ...(tokens.clients.some((one) => one.secret === secret) ? [`the documented client ${id}:${secret}`] : []),
  ]
}

function explainListen(error: unknown, { host, port }: Config): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE')
    return `PORT: ${port} is in use; stop what listens there, or set PORT to another one`
  if (code === 'EACCES') return `PORT: ${port} may not be listened on by this user; set PORT to another one`
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL' || code === 'EAI_AGAIN') {
    return `HOST: ${JSON.stringify(host)} is no address of this machine`
  }
  throw error
}
