import type { Config } from './config/config.ts'
import { ConfigError } from './config/fault.ts'
import { type LoadInput, type OpenedConfig, openConfig } from './config/load.ts'
import { discoverySources } from './discovery/sources/index.ts'
import { createLog, type GatewayLog } from './observability/log.ts'
import { readEncryptionKeys } from './persistence/encryption-keys.ts'
import type { EncryptionKey } from './persistence/sealer.ts'

/** A start that failed for a reason the operator can mend; the message says which, and nothing else is shown. */
export class StartError extends Error {
  override name = 'StartError'
}

/**
 * Reads the configuration.
 * @throws StartError with every fault there is
 */
export function openForStart(input: Pick<LoadInput, 'env' | 'cwd'> & Partial<LoadInput>): OpenedConfig {
  try {
    return openConfig({ sources: discoverySources, ...input })
  } catch (error) {
    if (error instanceof ConfigError) throw new StartError(error.message, { cause: error })
    throw error
  }
}

/** The log as it is configured; of which worker, where there are several. */
export function openLog(config: Config, worker?: number): GatewayLog {
  return createLog({
    level: config.logLevel,
    paths: config.logPaths,
    format: config.environment === 'production' ? 'json' : 'people',
    ...(worker !== undefined && { worker }),
  })
}

/** @throws StartError where there is a database, and its keys cannot be had */
export async function readKeys({ database }: Config, log: GatewayLog): Promise<readonly EncryptionKey[]> {
  if (database.kind === 'none') return []
  try {
    return await readEncryptionKeys(database.encryptionKeys, log)
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** @throws what was given, where it is no fault of the address */
export function explainListen(error: unknown, { host, port }: Config): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE')
    return `PORT: ${port} is in use; stop what listens there, or set PORT to another one`
  if (code === 'EACCES') return `PORT: ${port} may not be listened on by this user; set PORT to another one`
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL' || code === 'EAI_AGAIN') {
    return `HOST: ${JSON.stringify(host)} is no address of this machine`
  }
  throw error
}
