export interface AuthSettings {
  readonly host: string
  /** 0 for any free one. */
  readonly port: number
}

/**
 * AUTH_PORT (8001) and AUTH_HOST (localhost; everywhere in production). PORT is the gateway's, which runs
 * beside this service in development, and is not looked at. Throws an error that names the variable.
 */
export function readAuthSettings(env: NodeJS.ProcessEnv): AuthSettings {
  const port = env.AUTH_PORT || '8001'
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`AUTH_PORT: expected a port number from 0 to 65535, got ${JSON.stringify(port)}`)
  }
  const host = env.AUTH_HOST || (env.NODE_ENV === 'production' ? '0.0.0.0' : 'localhost')
  return { host, port: Number(port) }
}

/** What the documentation says of these variables; Consul's own are in the discovery's. */
export const authVariables = {
  AUTH_PORT: { description: 'port that the example service listens on', default: '8001' },
  AUTH_HOST: {
    description: 'host name or address that it listens on; 0.0.0.0 in production',
    default: 'localhost',
  },
  AUTH_ADVERTISE_HOST: {
    description: 'the address it registers in Consul, where that is not the one it listens on',
  },
} as const
