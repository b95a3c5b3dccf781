import type { Config } from './config/config.ts'
import { isLoopback } from './config/loopback.ts'
import { developmentClient } from './config/token-settings.ts'
import type { Log } from './observability/log.ts'

/** Where the gateway is, as one would type it. */
export function urlOf(config: Config, port: number): string {
  const host = ['0.0.0.0', '::'].includes(config.host) ? 'localhost' : config.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Says that the gateway listens, and in development what can be done with it. */
export function announce(config: Config, url: string, adminUrl: string | undefined, log: Log): void {
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
