import { ClientSecretPost } from 'openid-client'
import type { Provider, ProviderKind, ProviderTools } from '../provider.ts'
import { createDialectProvider, type Dialect } from './dialect-provider.ts'
import {
  createSettingsReader,
  credentialSetting,
  type Endpoints,
  endpointNames,
  type OwnSetting,
  scopeSetting,
  standardVariables,
  variableOf,
} from './provider-settings.ts'

export interface ProviderDefinition {
  readonly name: string
  readonly title: string
  /** Asked for unless <NAME>_SCOPE says otherwise; empty for what the application's own set-up asks for. */
  readonly scope: string
  /** Those whose `iss` is accepted in ID tokens; the first is the one of callbacks (RFC 9207). */
  readonly issuers?: readonly string[]
  /** Names in braces stand for settings of its own, and `{client_id}` for the client id. */
  readonly endpoints: Readonly<Partial<Endpoints> & Pick<Endpoints, 'authorization' | 'token' | 'profile'>>
  /** By the end of their variables' names. */
  readonly settings?: Readonly<Record<string, OwnSetting>>
  dialect(settings: Readonly<Record<string, string | undefined>>): Dialect
}

/** A provider with fixed endpoints, each of which a setting can move elsewhere. */
export function standardProvider(definition: ProviderDefinition): ProviderKind {
  const { name, title } = definition
  const prefix = `${name.toUpperCase()}_`
  const own = Object.entries(definition.settings ?? {})
  return {
    name,
    variables: {
      ...standardVariables(prefix, title, definition),
      ...Object.fromEntries(
        own.map(([suffix, { description, default: usual, secret }]) => [
          prefix + suffix,
          { description, ...(usual !== undefined && { default: usual }), ...(secret && { secret }) },
        ]),
      ),
    },
    read(environment, production) {
      const reader = createSettingsReader(environment, prefix, production)
      const clientId = reader.matching('CLIENT_ID', credentialSetting)
      const clientSecret = reader.matching('CLIENT_SECRET', credentialSetting)
      const isOff = reader.text('CLIENT_ID') === undefined
      if (isOff) {
        const missing = ['CLIENT_ID', 'CLIENT_SECRET'].filter((suffix) => reader.text(suffix) === undefined)
        return {
          configured: [],
          off: [{ name, title, missing: missing.map((one) => prefix + one) }],
          faults: [],
        }
      }
      if (reader.text('CLIENT_SECRET') === undefined) {
        reader.fault('CLIENT_SECRET', `the secret of ${prefix}CLIENT_ID`)
      }
      const scope = reader.matching('SCOPE', { ...scopeSetting, default: definition.scope || undefined })
      const settings = Object.fromEntries(own.map(([suffix, one]) => [suffix, reader.matching(suffix, one)]))
      const issuers = (definition.issuers ?? []).map((one) => fill(one, settings))
      const issuer = issuers.length === 0 ? undefined : reader.url('ISSUER')
      const endpoints: Record<string, string> = {}
      for (const endpoint of endpointNames) {
        const usual = definition.endpoints[endpoint]
        if (usual === undefined) continue
        const url = reader.url(variableOf[endpoint]) ?? usual
        endpoints[endpoint] = fill(url, { ...settings, client_id: encodeURIComponent(clientId ?? '') })
      }
      if (reader.faults.length > 0 || clientId === undefined || clientSecret === undefined) {
        return { configured: [], off: [], faults: reader.faults }
      }
      const located = {
        endpoints: endpoints as unknown as Endpoints,
        issuers: issuer === undefined ? issuers : [issuer],
        namesItself: false,
        scope: scope ?? '',
        authentication: ClientSecretPost(clientSecret),
      }
      const create = (tools: ProviderTools): Provider =>
        createDialectProvider(
          {
            name,
            title,
            clientId,
            clientSecret,
            dialect: definition.dialect(settings),
            locate: () => async () => located,
          },
          tools,
        )
      return { configured: [{ name, title, create }], off: [], faults: [] }
    },
  }
}

const fill = (template: string, values: Readonly<Record<string, string | undefined>>) =>
  template.replace(/\{(\w+)\}/g, (whole, key: string) => values[key] ?? whole)
