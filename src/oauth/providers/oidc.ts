import { ClientSecretBasic, ClientSecretPost, None } from 'openid-client'
import type { Environment } from '../../discovery/source.ts'
import {
  type Account,
  createDialectProvider,
  type Dialect,
  type Located,
} from '../client/dialect-provider.ts'
import { createDiscovery, type Description } from '../client/discovery.ts'
import { openIdProfile } from '../client/openid-profile.ts'
import {
  createSettingsReader,
  credentialSetting,
  type Endpoints,
  endpointNames,
  type ProviderFault,
  scopeSetting,
  variableOf,
} from '../client/provider-settings.ts'
import type { ConfiguredProvider, ProviderKind } from '../provider.ts'

const dialect: Dialect = {
  pkce: true,
  consentsToOffline: true,
  profile: openIdProfile,
  async revoke(asking, tokens) {
    if (asking.endpoints.revocation === undefined) return 'unsupported'
    await asking.revokeToken(tokens)
    return 'done'
  },
}

/**
 * Any issuer of OpenID Connect, as many as OIDC_PROVIDERS names: all that there is to know it says itself.
 * @param taken names that other providers have
 */
export const oidc = (taken: readonly string[]): ProviderKind => ({
  name: 'oidc',
  variables: {
    OIDC_PROVIDERS: {
      description:
        'names of further OpenID Connect issuers, separated by commas, such as corp; each has settings of its own: ' +
        'OIDC_CORP_ISSUER, _CLIENT_ID, _CLIENT_SECRET (none for a public client), _SCOPE and _TITLE; and ' +
        'its endpoints are found by discovery, unless _AUTHORIZATION_URL, _TOKEN_URL, _PROFILE_URL, ' +
        '_REVOCATION_URL or _JWKS_URL say otherwise',
    },
  },
  read(environment, production) {
    const configured: ConfiguredProvider[] = []
    const faults: ProviderFault[] = []
    const list = environment.OIDC_PROVIDERS?.split(',').map((item) => item.trim()) ?? []
    const reserved = [...taken, 'oidc', 'login', 'providers']
    for (const [index, name] of list.entries()) {
      if (!/^[a-z][a-z0-9-]{0,63}$/.test(name) || reserved.includes(name) || list.indexOf(name) !== index) {
        const expected =
          'names of lower-case letters, digits and dashes, separated by commas, each once, ' +
          `and none of ${reserved.join(', ')}`
        faults.push({ variable: 'OIDC_PROVIDERS', expected })
        continue
      }
      const provider = readIssuer(name, environment, production)
      if (Array.isArray(provider)) faults.push(...provider)
      else configured.push(provider)
    }
    return { configured, off: [], faults }
  },
})

function readIssuer(
  name: string,
  environment: Environment,
  production: boolean,
): ConfiguredProvider | ProviderFault[] {
  const reader = createSettingsReader(
    environment,
    `OIDC_${name.toUpperCase().replaceAll('-', '_')}_`,
    production,
  )
  const issuer = reader.url('ISSUER')
  const clientId = reader.matching('CLIENT_ID', credentialSetting)
  const clientSecret = reader.matching('CLIENT_SECRET', credentialSetting) ?? ''
  const scope = reader.matching('SCOPE', scopeSetting)
  const title = reader.text('TITLE') ?? name
  if (reader.text('ISSUER') === undefined) reader.fault('ISSUER', 'the URL of the issuer')
  if (reader.text('CLIENT_ID') === undefined) reader.fault('CLIENT_ID', 'the id of the client there')
  const moved: Record<string, string> = {}
  for (const endpoint of endpointNames) {
    const url = reader.url(variableOf[endpoint])
    if (url !== undefined) moved[endpoint] = url
  }
  if (reader.faults.length > 0 || issuer === undefined || clientId === undefined) return reader.faults
  const locate: Account['locate'] = (tools) => {
    const describe = createDiscovery(issuer, clientId, tools)
    return async () => {
      const description = await describe()
      const { issuer: named, authorization_response_iss_parameter_supported: namesItself } = description
      return {
        endpoints: { ...endpointsOf(description), ...moved },
        issuers: [named],
        namesItself: namesItself === true,
        scope: scope ?? usualScope(description),
        authentication: authenticationOf(description, clientSecret),
      }
    }
  }
  const account: Account = { name, title, clientId, clientSecret, dialect, locate }
  return { name, title, create: (tools) => createDialectProvider(account, tools) }
}

function endpointsOf(description: Description): Located['endpoints'] {
  const { authorization_endpoint, token_endpoint, userinfo_endpoint, revocation_endpoint, jwks_uri } =
    description
  const found: Partial<Endpoints> = {
    ...(userinfo_endpoint !== undefined && { profile: userinfo_endpoint }),
    ...(revocation_endpoint !== undefined && { revocation: revocation_endpoint }),
    ...(jwks_uri !== undefined && { jwks: jwks_uri }),
  }
  return { ...found, authorization: authorization_endpoint ?? '', token: token_endpoint ?? '' }
}

/** With a refresh token, where that has to be asked for (OpenID Connect Core §11). */
function usualScope({ scopes_supported: supported }: Description): string {
  const offline = Array.isArray(supported) && supported.includes('offline_access')
  return `openid profile email${offline ? ' offline_access' : ''}`
}

/** Basic is the standard's own (OpenID Connect Core §9), and what clients are registered with unless told otherwise. */
function authenticationOf({ token_endpoint_auth_methods_supported: methods }: Description, secret: string) {
  if (secret === '') return None()
  const isBasic = !Array.isArray(methods) || methods.includes('client_secret_basic')
  return isBasic ? ClientSecretBasic(secret) : ClientSecretPost(secret)
}
