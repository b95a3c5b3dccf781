import type { ConsulOptions } from '../discovery/consul/settings.ts'
import type { ConfiguredSource, RegistrationConfig } from './config.ts'
import type { Fault } from './fault.ts'
import { type NetworkInterfaces, ownAddress, ownAddressWord } from './own-address.ts'
import type { SettingValues } from './settings.ts'

export interface RegistrationInput {
  readonly values: Partial<SettingValues>
  /** Names in DISCOVERY, whether or not their settings could be read. */
  readonly discovery: readonly string[]
  readonly sources: readonly ConfiguredSource[]
  readonly networkInterfaces: NetworkInterfaces
}

/** Whether and how the gateway registers itself; faults are added to `faults`. */
export function readRegistration(input: RegistrationInput, faults: Fault[]): RegistrationConfig | undefined {
  const { values, discovery, sources, networkInterfaces } = input
  const hasConsul = discovery.includes('consul')
  if (values.REGISTER === true && !hasConsul) {
    faults.push({
      place: { variable: 'REGISTER' },
      found: 'true',
      expected: 'consul in DISCOVERY, or false',
    })
  }
  if (!hasConsul || values.REGISTER === false) return undefined
  const advertiseHost = readAdvertiseHost(values, networkInterfaces)
  if (advertiseHost === undefined) {
    const found = 'nothing, and this machine has no address but internal ones'
    const expected = 'the address that others reach the gateway at; or REGISTER=false'
    faults.push({ place: { variable: 'ADVERTISE_HOST' }, found, expected })
  }
  const consul = sources.find(({ source }) => source.name === 'consul')
  const serviceName = values.GATEWAY_SERVICE_NAME
  if (consul === undefined || serviceName === undefined || advertiseHost === undefined) return undefined
  return { serviceName, advertiseHost, consul: consul.options as ConsulOptions }
}

function readAdvertiseHost(
  { NODE_ENV: environment, ADVERTISE_HOST: given }: Partial<SettingValues>,
  networkInterfaces: NetworkInterfaces,
): string | undefined {
  if (given !== undefined && given !== ownAddressWord) return given
  if (given === undefined && environment !== 'production') return '127.0.0.1'
  return ownAddress(networkInterfaces)
}
