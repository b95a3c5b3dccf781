import type { Config } from '../config/config.ts'
import type { Log } from '../observability/log.ts'
import { createRegistration, type Registration } from './registration.ts'

/** Has the gateway listed in Consul, where it is told to be, as a service that others may look up. */
export function registerGateway(
  config: Config,
  port: number,
  log: Log,
  ready: () => boolean,
): Registration | undefined {
  if (config.registration === undefined) return undefined
  const { consul, serviceName, advertiseHost } = config.registration
  const registration = createRegistration({
    consul,
    service: {
      name: serviceName,
      id: `${serviceName}-${advertiseHost}-${port}`,
      host: advertiseHost,
      port,
      check: { path: '/readyz' },
    },
    log,
    ready,
  })
  void registration.start()
  return registration
}
