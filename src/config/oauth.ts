import type { Environment } from '../discovery/source.ts'
import type { ProviderKind } from '../oauth/provider.ts'
import type { OAuthConfig } from './config.ts'
import { variableFault } from './environment.ts'
import { type Fault, shown } from './fault.ts'
import { isLoopback } from './loopback.ts'
import type { SettingValues } from './settings.ts'

/** Has each kind of provider read its own settings, and puts the rest beside them. Faults are added to `faults`. */
export function readOAuth(
  values: Partial<SettingValues>,
  environment: Environment,
  kinds: readonly ProviderKind[],
  faults: Fault[],
): OAuthConfig {
  const production = values.NODE_ENV === 'production'
  const readings = kinds.map((kind) => kind.read(environment, production))
  for (const { variable, expected } of readings.flatMap((reading) => reading.faults)) {
    faults.push(variableFault(variable, environment[variable], expected))
  }
  const providers = readings.flatMap(({ configured }) => configured)
  const names = providers.map(({ name }) => name)
  for (const name of values.LINK_VERIFIED_EMAIL ?? []) {
    if (names.includes(name)) continue
    faults.push({
      place: { variable: 'LINK_VERIFIED_EMAIL' },
      found: shown(name),
      expected: `providers that are configured${names.length === 0 ? ', and none is' : `: ${names.join(', ')}`}`,
    })
  }
  const [linked = '', ...more] = values.LINK_VERIFIED_EMAIL ?? []
  if (more.length === 0 && names.includes(linked)) {
    faults.push({
      place: { variable: 'LINK_VERIFIED_EMAIL' },
      found: `${shown(linked)} alone`,
      expected: 'at least two: accounts of one provider are never linked with each other',
    })
  }
  const publicUrl = new URL(values.PUBLIC_URL ?? 'https://unknown.invalid')
  if (
    production &&
    providers.length > 0 &&
    publicUrl.protocol === 'http:' &&
    !isLoopback(publicUrl.hostname)
  ) {
    faults.push({
      place: { variable: 'PUBLIC_URL' },
      found: shown(publicUrl.origin),
      expected: 'https in production where logins begin: their cookies and codes pass through it',
    })
  }
  for (const variable of ['OAUTH_REDIRECT_URIS', 'LOGIN_RETURN_URLS'] as const) {
    for (const url of production ? (values[variable] ?? []) : []) {
      const { protocol, hostname } = new URL(url)
      if (protocol === 'https:' || isLoopback(hostname)) continue
      faults.push({ place: { variable }, found: shown(url), expected: 'https URLs in production' })
    }
  }
  // The values of faulty variables are absent; the start ends before anybody reads these.
  const known = values as SettingValues
  return {
    providers,
    off: readings.flatMap(({ off }) => off),
    redirectUris: known.OAUTH_REDIRECT_URIS ?? [],
    returnUrls: known.LOGIN_RETURN_URLS ?? [],
    loginScope: known.LOGIN_SCOPE,
    linkVerifiedEmail: known.LINK_VERIFIED_EMAIL ?? [],
    providerTimeoutMs: known.OAUTH_PROVIDER_TIMEOUT,
    refreshAheadMs: known.OAUTH_REFRESH_AHEAD,
    tokenHeader: known.PROVIDER_TOKEN_HEADER,
  }
}
