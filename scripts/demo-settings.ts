import type { Environment } from '../src/discovery/source.ts'

/** Known to everybody, and the same after a restart: connections that were made before it stay this client's. */
export const demoClient = { id: 'munjigi-demo', secret: 'demo-secret-for-development-only' } as const

/** What the documentation says of the variables of `npm start` itself. */
export const demoVariables = {
  DEMO_PROVIDER_PORT: {
    description:
      'port of the OAuth provider that `npm start` brings up in development, another one where it is in use; ' +
      'off for none',
    default: '8090',
  },
} as const

/**
 * On which port the demo provider is to listen; undefined where there is to be none: it is off, this is production,
 * there is no database to keep logins in, or somebody has configured a provider of that name.
 * @throws Error that names the variable
 */
export function readDemoPort(environment: Environment): number | undefined {
  const text = environment.DEMO_PROVIDER_PORT?.trim() || demoVariables.DEMO_PROVIDER_PORT.default
  const isOff = text === 'off' || text === '0'
  if (!isOff && (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)) {
    throw new Error(`DEMO_PROVIDER_PORT: expected a port number or off, got ${JSON.stringify(text)}`)
  }
  const isDevelopment = environment.NODE_ENV?.trim() !== 'production'
  const hasDatabase = environment.DATABASE_URL?.trim() !== 'none'
  const isTaken = providerNames(environment).includes('demo')
  return isOff || !isDevelopment || !hasDatabase || isTaken ? undefined : Number(text)
}

/** The environment of a gateway that knows the demo provider at this address beside the providers it has. */
export function withDemoProvider(environment: Environment, issuer: string): Environment {
  return {
    ...environment,
    OIDC_PROVIDERS: [...providerNames(environment), 'demo'].join(','),
    OIDC_DEMO_ISSUER: issuer,
    OIDC_DEMO_CLIENT_ID: demoClient.id,
    OIDC_DEMO_CLIENT_SECRET: demoClient.secret,
    OIDC_DEMO_TITLE: 'Demo provider',
  }
}

function providerNames({ OIDC_PROVIDERS = '' }: Environment): string[] {
  return OIDC_PROVIDERS.split(',').flatMap((name) => name.trim() || [])
}
