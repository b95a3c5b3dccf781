import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type NetworkInterfaces, ownAddress, ownAddressWord } from '../../src/config/own-address.ts'
import { consulSettings } from '../../src/discovery/consul/settings.ts'
import { createRegistration, type Registration } from '../../src/discovery/registration.ts'
import type { Log } from './log.ts'

export interface AuthRegistrationOptions {
  readonly env: NodeJS.ProcessEnv
  /** Where the service listens. */
  readonly address: AddressInfo
  readonly log: Log
}

/** What the service says of its routes: `/api/users` is its `/users`; only who is calling must be somebody. */
const tags = [
  'gateway.enable=true',
  'gateway.path=/api/users',
  'gateway.path=/api/user',
  'gateway.path=/api/user/me; auth=required',
  'gateway.strip=/api',
  'gateway.auth=none',
]

/**
 * The registration in Consul, where CONSUL_HTTP_ADDR is set. Being an example in the same repository, the service
 * borrows this, the database and the reading of settings from the gateway's source; as programs they meet over
 * HTTP only. Throws an error that names the variable at fault.
 */
export function createAuthRegistration(options: AuthRegistrationOptions): Registration | undefined {
  const { env, address, log } = options
  if (!env.CONSUL_HTTP_ADDR) return undefined
  const host = reachableHost(env, address.address)
  const print = (_fields: unknown, message: string) => log.line(message)
  return createRegistration({
    consul: readConsulSettings(env),
    service: {
      name: 'auth',
      id: `auth-${host}-${address.port}`,
      host,
      port: address.port,
      tags,
      check: { path: '/health' },
    },
    log: { debug: () => {}, info: print, warn: print, error: print },
  })
}

function readConsulSettings(env: NodeJS.ProcessEnv) {
  const environment = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()))
  const read = consulSettings.safeParse({ environment, urls: new Map() })
  if (read.success) return read.data
  const faults = read.error.issues.map(({ path, message }) => `${String(path.at(-1))}: ${message}`)
  throw new Error(faults.join('; '))
}

/** The address that is set, or the one it listens on, or one that leads here where it listens on all of them. */
export function reachableHost(
  { AUTH_ADVERTISE_HOST: given, NODE_ENV: environment }: NodeJS.ProcessEnv,
  address: string,
  interfaces: NetworkInterfaces = networkInterfaces,
): string {
  if (given && given !== ownAddressWord) return given
  if (!given && address !== '0.0.0.0' && address !== '::') return address
  if (!given && environment !== 'production') return '127.0.0.1'
  const found = ownAddress(interfaces)
  if (found !== undefined) return found
  throw new Error('AUTH_ADVERTISE_HOST: expected the address that others reach the service at')
}
