import { isLoopback } from '../../config/loopback.ts'
import type { Environment, SourceVariables } from '../../discovery/source.ts'
import type { ProviderReading } from '../provider.ts'

/** Where a provider is asked for what. */
export interface Endpoints {
  readonly authorization: string
  readonly token: string
  readonly profile: string
  readonly revocation: string
  readonly jwks: string
  /** Facebook's: for which application a token is. */
  readonly debug: string
}

export type EndpointName = keyof Endpoints
export const endpointNames = ['authorization', 'token', 'profile', 'revocation', 'jwks', 'debug'] as const

/** A setting of one provider's own, such as the version of Facebook's Graph. */
export interface OwnSetting {
  readonly description: string
  readonly default?: string | undefined
  readonly secret?: boolean
  readonly pattern: RegExp
  readonly expected: string
}

export type ProviderFault = ProviderReading['faults'][number]

/** Reads variables of one prefix (`GOOGLE_`), and gathers what is wrong with them. */
export interface SettingsReader {
  readonly faults: ProviderFault[]
  text(suffix: string): string | undefined
  matching(suffix: string, setting: Pick<OwnSetting, 'pattern' | 'expected' | 'default'>): string | undefined
  /** An absolute URL; https in production, but for this very machine. */
  url(suffix: string): string | undefined
  fault(suffix: string, expected: string): void
}

export function createSettingsReader(
  environment: Environment,
  prefix: string,
  production: boolean,
): SettingsReader {
  const faults: ProviderFault[] = []
  const fault = (suffix: string, expected: string) =>
    void faults.push({ variable: prefix + suffix, expected })
  const text = (suffix: string) => environment[prefix + suffix]?.trim()
  return {
    faults,
    fault,
    text,
    matching(suffix, { pattern, expected, default: usual }) {
      const value = text(suffix) ?? usual
      if (value === undefined || pattern.test(value)) return value
      fault(suffix, expected)
      return undefined
    },
    url(suffix) {
      const value = text(suffix)
      if (value === undefined) return undefined
      const wrong = wrongWith(value, production)
      if (wrong === undefined) return value
      fault(suffix, wrong)
      return undefined
    },
  }
}

function wrongWith(url: string, production: boolean): string | undefined {
  if (!/^https?:\/\/[^/?#@\s\\]+(?:[/?][^#\s\\]*)?$/i.test(url) || !URL.canParse(url)) {
    return 'an absolute http or https URL without user or fragment'
  }
  const { protocol, hostname } = new URL(url)
  return production && protocol !== 'https:' && !isLoopback(hostname)
    ? 'an https URL in production'
    : undefined
}

/** RFC 6749, appendix A.4; some providers separate with commas, which are taken for spaces. */
export const scopeSetting = {
  pattern: /^[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*$/,
  expected: 'scopes such as "openid email", separated by spaces',
} as const

/** RFC 6749, appendix A.1 and A.2; a tail of white space is a mistake of copying. */
export const credentialSetting = { pattern: /^[\x21-\x7e]{1,4096}$/, expected: 'printable ASCII' } as const

export const variableOf = {
  authorization: 'AUTHORIZATION_URL',
  token: 'TOKEN_URL',
  profile: 'PROFILE_URL',
  revocation: 'REVOCATION_URL',
  jwks: 'JWKS_URL',
  debug: 'DEBUG_URL',
} as const satisfies Record<EndpointName, string>

/** What the documentation says of the variables that every provider has. */
export function standardVariables(
  prefix: string,
  title: string,
  definition: {
    readonly scope: string
    readonly issuers?: readonly string[]
    readonly endpoints: Readonly<Partial<Endpoints>>
  },
): SourceVariables {
  const { scope, issuers: [issuer] = [], endpoints } = definition
  const variables: Record<string, SourceVariables[string]> = {
    [`${prefix}CLIENT_ID`]: { description: `turns logins by ${title} on` },
    [`${prefix}CLIENT_SECRET`]: { description: `shown to ${title} with each code`, secret: true },
    [`${prefix}SCOPE`]: {
      description: `what ${title} is asked for, separated by spaces`,
      ...(scope !== '' && { default: scope }),
    },
  }
  if (issuer !== undefined) {
    variables[`${prefix}ISSUER`] = { description: `${title}, as it names itself`, default: issuer }
  }
  for (const name of endpointNames) {
    const url = endpoints[name]
    if (url === undefined) continue
    variables[prefix + variableOf[name]] = { description: `${title}'s ${described[name]}`, default: url }
  }
  return variables
}

const described = {
  authorization: 'page where the user says yes',
  token: 'token endpoint',
  profile: "endpoint that tells the user's profile",
  revocation: 'endpoint that ends a grant',
  jwks: 'keys that ID tokens are verified with',
  debug: 'endpoint that tells for which application a token is',
} as const satisfies Record<EndpointName, string>
