import { resolve } from 'node:path'
import type { DatabaseConfig, RateConfig } from '../../src/config/config.ts'
import { readDatabase } from '../../src/config/database.ts'
import { readSettings } from '../../src/config/environment.ts'
import type { Fault } from '../../src/config/fault.ts'
import { protectionSettings } from '../../src/config/protection-settings.ts'
import type { SettingValues } from '../../src/config/settings.ts'
import { developmentClient } from '../../src/config/token-settings.ts'

export interface AuthSettings {
  readonly host: string
  /** 0 for any free one. */
  readonly port: number
  readonly database: DatabaseConfig
  /** Where the gateway's own endpoints are, without a trailing slash. */
  readonly gatewayUrl: string
  /** As whom the service asks the gateway for tokens. */
  readonly client: { readonly id: string; readonly secret: string }
  readonly identity: {
    /** What the gateway says of a caller in. */
    readonly headers: { readonly id: string; readonly scope: string; readonly issuer: string }
    /** Who issues the tokens of this service's users: the gateway. */
    readonly issuer: string
  }
  readonly limits: { readonly login: RateConfig; readonly address: RateConfig }
}

/** Variables that the service and the gateway read alike. */
export const commonVariables: ReadonlySet<string> = new Set([
  ...['NODE_ENV', 'PUBLIC_URL', 'USER_ID_HEADER', 'USER_SCOPE_HEADER', 'USER_ISSUER_HEADER'],
  ...['DATABASE_URL', 'DATA_DIR', 'DATABASE_POOL_SIZE'],
  ...['DATABASE_STATEMENT_TIMEOUT', 'DATABASE_CONNECT_TIMEOUT'],
])

/**
 * The service's own variables, below, and those that it has in common with the gateway. PORT is the gateway's,
 * which runs beside this service in development, and is not looked at. Throws an error that names the variables
 * at fault, and shows no secret.
 */
export function readAuthSettings(env: NodeJS.ProcessEnv): AuthSettings {
  const environment = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()))
  const { values, faults } = readSettings(environment)
  const database = readDatabase(values, environment, process.cwd(), faults)
  const found = faults.flatMap(commonFault)
  const own = readOwn(environment, values.NODE_ENV === 'production', found)
  if (found.length > 0) throw new Error(found.join('; '))
  // Complete, since nothing of it was at fault.
  const known = values as SettingValues
  return {
    ...own,
    // Beside the gateway's own, which another process may have open.
    database:
      database?.kind === 'embedded' ? { ...database, dataDir: resolve(known.DATA_DIR, 'auth') } : database!,
    identity: {
      headers: { id: known.USER_ID_HEADER, scope: known.USER_SCOPE_HEADER, issuer: known.USER_ISSUER_HEADER },
      issuer: known.PUBLIC_URL,
    },
  }
}

/** ENCRYPTION_KEYS and the like are the gateway's business. */
function commonFault({ place, found, expected }: Fault): string[] {
  return 'variable' in place && commonVariables.has(place.variable)
    ? [`${place.variable}: expected ${expected}, got ${found}`]
    : []
}

function readOwn(env: NodeJS.ProcessEnv, production: boolean, faults: string[]) {
  const port = env.AUTH_PORT ?? authVariables.AUTH_PORT.default
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    faults.push(`AUTH_PORT: expected a port number from 0 to 65535, got ${JSON.stringify(port)}`)
  }
  const gatewayUrl = (env.GATEWAY_URL ?? authVariables.GATEWAY_URL.default).trim()
  if (!/^https?:\/\/[^?#@\s]+$/i.test(gatewayUrl) || !URL.canParse(gatewayUrl)) {
    faults.push('GATEWAY_URL: expected an http or https URL without a query, such as http://gateway:8080')
  }
  const needsClient = production && env.DATABASE_URL !== 'none'
  const credential = (name: 'AUTH_CLIENT_ID' | 'AUTH_CLIENT_SECRET', inDevelopment: string) => {
    const text = env[name]?.trim()
    if (text === undefined && needsClient) {
      faults.push(`${name}: expected that of a client in the gateway's GATEWAY_CLIENTS, got nothing`)
    }
    return text ?? inDevelopment
  }
  const rate = (name: 'AUTH_LOGIN_LIMIT' | 'AUTH_ADDRESS_LIMIT'): RateConfig => {
    const { data, error } = protectionSettings.TOKEN_FAILURE_LIMIT.schema.safeParse(
      (env[name] ?? authVariables[name].default).trim(),
    )
    if (data !== undefined) return data
    faults.push(`${name}: ${error?.issues[0]?.message}`)
    return { points: 1, seconds: 1 }
  }
  return {
    port: Number(port),
    host: env.AUTH_HOST ?? (production ? '0.0.0.0' : 'localhost'),
    gatewayUrl: gatewayUrl.replace(/\/+$/, ''),
    client: {
      id: credential('AUTH_CLIENT_ID', developmentClient.id),
      secret: credential('AUTH_CLIENT_SECRET', developmentClient.secret),
    },
    limits: { login: rate('AUTH_LOGIN_LIMIT'), address: rate('AUTH_ADDRESS_LIMIT') },
  }
}

/** What the documentation says of these variables; Consul's own are in the discovery's. */
export const authVariables = {
  AUTH_PORT: { description: 'port that the example service listens on', default: '8001' },
  AUTH_HOST: {
    description: 'host name or address that it listens on; 0.0.0.0 in production',
    default: 'localhost',
  },
  AUTH_ADVERTISE_HOST: {
    description:
      "the address it registers in Consul, where that is not the one it listens on; auto for the machine's own",
  },
  GATEWAY_URL: {
    description: 'where it reaches the gateway to have tokens issued, with ROUTE_PREFIX where there is one',
    default: 'http://localhost:8080',
  },
  AUTH_CLIENT_ID: {
    description: 'the client of GATEWAY_CLIENTS that it is; required in production',
    default: developmentClient.id,
  },
  AUTH_CLIENT_SECRET: {
    description: "that client's secret; required in production, the documented one in development",
    secret: true,
  },
  AUTH_LOGIN_LIMIT: {
    description: 'failed logins to one account from one address, as how many in how long',
    default: '10/15m',
  },
  AUTH_ADDRESS_LIMIT: {
    description: 'failed logins from one address, and sign-ups from one address',
    default: '100/15m',
  },
} as const
