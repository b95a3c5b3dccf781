import type { TokensConfig } from './config.ts'
import { type Fault, shown } from './fault.ts'
import { isLoopback } from './loopback.ts'
import type { SettingValues } from './settings.ts'
import { developmentClient } from './token-settings.ts'

const leastSecretLength = 16

/** What there is to know of tokens. Faults are added to `faults`. */
export function readTokens(values: Partial<SettingValues>, faults: Fault[]): TokensConfig {
  const production = values.NODE_ENV === 'production'
  const clients = values.GATEWAY_CLIENTS ?? (production ? [] : [developmentClient])
  if (production) {
    for (const { id, secret } of clients) {
      if (secret !== developmentClient.secret && secret.length >= leastSecretLength) continue
      faults.push({
        place: { variable: 'GATEWAY_CLIENTS' },
        found: `a secret of ${id} that is easily guessed (not shown)`,
        expected: `at least ${leastSecretLength} characters in production; openssl rand -base64 32 makes one`,
      })
    }
  }
  const { REVOCATION_POLLING_INTERVAL: polling, REVOCATION_MAX_STALENESS: staleness } = values
  if (polling !== undefined && staleness !== undefined && polling >= staleness) {
    faults.push({
      place: { variable: 'REVOCATION_MAX_STALENESS' },
      found: `${staleness} ms, not longer than REVOCATION_POLLING_INTERVAL (${polling} ms)`,
      expected: 'longer than that: else guarded routes would answer 503 between two readings',
    })
  }
  if (values.TRUSTED_ISSUERS?.some(({ issuer }) => issuer === values.PUBLIC_URL)) {
    faults.push({
      place: { variable: 'TRUSTED_ISSUERS' },
      found: "the gateway's own issuer (PUBLIC_URL)",
      expected: 'other issuers',
    })
  }
  for (const { jwksUrl } of production ? (values.TRUSTED_ISSUERS ?? []) : []) {
    const { protocol, hostname } = new URL(jwksUrl)
    if (protocol === 'https:' || isLoopback(hostname)) continue
    faults.push({
      place: { variable: 'TRUSTED_ISSUERS' },
      found: `keys that anybody on the way may replace, ${shown(jwksUrl)}`,
      expected: 'an https URL of its JWKS in production',
    })
  }
  faults.push(...sameHeaders(values))
  // The values of faulty variables are absent; the start ends before anybody reads these.
  const known = values as SettingValues
  return {
    issuer: known.PUBLIC_URL,
    audience: known.TOKEN_AUDIENCE ?? known.PUBLIC_URL,
    clients,
    accessTokenLifetime: known.ACCESS_TOKEN_LIFETIME,
    refreshTokenLifetime: known.REFRESH_TOKEN_LIFETIME,
    sessionLifetime: known.SESSION_LIFETIME,
    signingKeyLifetime: known.SIGNING_KEY_LIFETIME,
    refreshGraceMs: known.REFRESH_GRACE,
    revocation: {
      pollingIntervalMs: known.REVOCATION_POLLING_INTERVAL,
      maxStalenessMs: known.REVOCATION_MAX_STALENESS,
    },
    verifiedTokens: known.VERIFIED_TOKENS,
    trustedIssuers: known.TRUSTED_ISSUERS ?? [],
    headers: { id: known.USER_ID_HEADER, scope: known.USER_SCOPE_HEADER, issuer: known.USER_ISSUER_HEADER },
    dummies: !production,
  }
}

/** Two things said under one name would be one. */
function sameHeaders(values: Partial<SettingValues>): Fault[] {
  const names = [
    'USER_ID_HEADER',
    'USER_SCOPE_HEADER',
    'USER_ISSUER_HEADER',
    'PROVIDER_TOKEN_HEADER',
  ] as const
  return names.flatMap((variable, index) => {
    const name = values[variable]
    const first = names.slice(0, index).find((other) => values[other]?.toLowerCase() === name?.toLowerCase())
    if (name === undefined || first === undefined) return []
    return [{ place: { variable }, found: `${shown(name)}, as ${first}`, expected: 'a name of its own' }]
  })
}
