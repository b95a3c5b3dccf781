import type { SourceVariables } from '../discovery/source.ts'
import type { ProviderKind } from '../oauth/provider.ts'
import { type Setting, settings } from './settings.ts'
import type { DiscoverySources } from './sources.ts'

/** What the documentation says of one environment variable. */
export interface SettingDoc {
  readonly name: string
  readonly group: string
  readonly meaning: string
  /** As one would write it, or what being unset means in words. */
  readonly default: string
  readonly secret: boolean
  /** What to write in an example, where the default does not show it. */
  readonly example: string
}

/**
 * Every environment variable that the gateway knows, in the order and groups of the table; `sources` is
 * the index of discovery sources and `providers` that of OAuth providers, which have variables of their own;
 * `others` are further programs'.
 */
export function documentSettings(
  sources: DiscoverySources,
  providers: readonly ProviderKind[],
  others: Readonly<Record<string, SourceVariables>> = {},
): readonly SettingDoc[] {
  const own = Object.entries<Setting>(settings).map(([name, setting]) => ({
    name,
    group: setting.group,
    meaning: setting.meaning,
    default: describeDefault(setting),
    secret: setting.secret ?? false,
    example: typeof setting.default === 'object' ? setting.default.development : (setting.default ?? ''),
  }))
  const urls = {
    name: '<NAME>_SERVICE_URL',
    group: 'Address book',
    meaning: 'instances of the service <name>, separated by commas; wins over urls in the file',
    default: 'none',
    secret: false,
    example: 'http://localhost:8001',
  }
  const groups = [
    ...Object.values(sources).map(({ name, variables = {} }) => [`Discovery: ${name}`, variables] as const),
    ...providers.map(({ name, variables }) => [`OAuth: ${name}`, variables] as const),
    ...Object.entries(others),
  ]
  const theirs = groups.flatMap(([group, variables]) =>
    Object.entries(variables).map(([name, variable]) => ({
      name,
      group,
      meaning: variable.description,
      default: variable.default || 'unset',
      secret: variable.secret ?? false,
      example: variable.default ?? '',
    })),
  )
  return [...own, urls, ...theirs]
}

function describeDefault(setting: Setting): string {
  const { default: given, unset } = setting
  if (given === undefined) return unset ?? 'unset'
  return typeof given === 'string'
    ? given
    : `${given.development} in development, ${given.production} in production`
}
