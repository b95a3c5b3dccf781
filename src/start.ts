import { announce, urlOf } from './announce.ts'
import type { OpenedConfig } from './config/load.ts'
import type { Environment } from './discovery/source.ts'
import { createGateway, type Gateway } from './gateway.ts'
import { explainListen, openForStart, openLog, readKeys, StartError } from './opening.ts'
import type { Embedded } from './persistence/embedded.ts'

export interface StartOptions {
  /** The embedded database, where others of this process use it too; whoever opened it closes it. */
  readonly embedded?: Embedded
}

export interface StartedGateway extends Gateway {
  /** Where its own endpoints are, with ROUTE_PREFIX. */
  readonly url: string
}

/**
 * Reads the configuration, starts the gateway in this process, whatever WORKERS says, and says where it is.
 *
 * @throws StartError where the configuration is at fault or the address cannot be listened on
 */
export async function startGateway(
  env: Environment,
  cwd: string,
  options: StartOptions = {},
): Promise<StartedGateway> {
  return startOpened(openForStart({ env, cwd }), options)
}

/**
 * The same with a configuration that has been read.
 *
 * @throws StartError where the address cannot be listened on, or the keys cannot be read
 */
export async function startOpened(
  { config, file }: OpenedConfig,
  options: StartOptions = {},
): Promise<StartedGateway> {
  const log = openLog(config)
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
