import type { OAuth } from '../oauth/oauth.ts'
import type { Tokens } from '../tokens/tokens.ts'
import { counter, gauge, type MetricSource, type Sample } from './metric-source.ts'
import type { Tally } from './tally.ts'

export interface IdentityMetricsOptions {
  readonly tokens: Pick<Tokens, 'keys' | 'revocationAgeMs'>
  readonly oauth: Pick<OAuth, 'counts'>
}

/**
 * Tokens, logins and the vault. What is issued, refreshed and verified is told by the status of the endpoints that do
 * so (request-metrics.ts).
 *
 * @param now milliseconds since the epoch
 */
export function identityMetrics(
  { tokens, oauth }: IdentityMetricsOptions,
  now: () => number = Date.now,
): MetricSource {
  const { keys, revocationAgeMs } = tokens
  const { refreshes, logins } = oauth.counts

  return (registry) => {
    if (keys === undefined || revocationAgeMs === undefined) return
    gauge(registry, {
      name: 'munjigi_revocation_age_seconds',
      help: 'How old what is known of revocations is.',
      ofWorkers: 'max',
      *read() {
        const ageMs = revocationAgeMs()
        if (Number.isFinite(ageMs)) yield [ageMs / 1000]
      },
    })
    gauge(registry, {
      name: 'munjigi_signing_key_age_seconds',
      help: 'For how long the signing key has signed.',
      ofWorkers: 'max',
      *read() {
        const active = keys().keys.find(({ state }) => state === 'active')
        if (active?.activatedAt !== undefined) yield [Math.max(0, now() - active.activatedAt) / 1000]
      },
    })
    gauge(registry, {
      name: 'munjigi_signing_key_rotation_due_timestamp_seconds',
      help: 'When the next signing key is to take over.',
      ofWorkers: 'min',
      *read() {
        const { nextRotationAt } = keys()
        if (nextRotationAt !== undefined) yield [nextRotationAt / 1000]
      },
    })
    counter(registry, {
      name: 'munjigi_vault_refreshes_total',
      help: 'How often a provider was asked to renew a token, by what came of it.',
      labels: ['provider', 'result'],
      read: () => byProvider(refreshes),
    })
    counter(registry, {
      name: 'munjigi_logins_total',
      help: 'Logins that came back from a provider, by what came of them.',
      labels: ['provider', 'result'],
      read: () => byProvider(logins),
    })
  }
}

function* byProvider(tally: Tally): Iterable<Sample> {
  for (const [count, provider, result] of tally.read()) yield [count, { provider, result }]
}
