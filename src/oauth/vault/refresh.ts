import { setTimeout as delay } from 'node:timers/promises'
import { type ErrorCode, GatewayError } from '../../errors.ts'
import type { Log } from '../../observability/log.ts'
import type { ConnectionRow } from '../entities.ts'
import type { Provider, ProviderTokens } from '../provider.ts'
import type { LateWrites } from './late-writes.ts'
import type { Pending } from './pending.ts'
import type { Permits } from './permits.ts'
import type { HeldRow, HoldRow } from './row-hold.ts'
import type { TokenSealer } from './sealed-tokens.ts'
import { grantedColumns } from './stored-grant.ts'
import { changedAt, postponed, type RowChange } from './vault-rows.ts'

/** A version of a connection: whoever finds a later one in the row is done. */
export interface Version {
  readonly id: string
  readonly subject: string
  readonly provider: string
  readonly updatedAt: Date
}

/**
 * Renews a connection's tokens, unless somebody has since this version of it; gives the row as it is then.
 * @throws GatewayError see `Vault.fresh`
 */
export type RefreshRow = (version: Version) => Promise<ConnectionRow>

export interface RefreshOptions {
  readonly hold: HoldRow
  /** Limits how many hold a row at once. */
  readonly permitsOf: (provider: string) => Permits
  /** The row as it is now. @throws GatewayError `not_found` */
  readonly read: (version: Version) => Promise<ConnectionRow>
  readonly tokens: TokenSealer
  readonly providers: ReadonlyMap<string, Provider>
  readonly late: Pick<LateWrites, 'keep' | 'settle' | 'write'>
  readonly pending: Pending
  /** How long a provider is waited for. */
  readonly answerMs: number
  /** How long another process is waited for that has asked the provider. */
  readonly deadlineMs: number
  /** Whether the gateway is about to end: then no provider is asked, whose answer nobody could keep. */
  readonly stopping: () => boolean
  /** A provider was asked; by what came of it: `success`, or the code of the error. */
  readonly refreshed?: ((provider: string, result: 'success' | ErrorCode) => void) | undefined
  readonly log: Log
  readonly now: () => number
  readonly random: () => number
}

/** What came of holding the row. Errors are among it: a transaction that throws would forget what is to be kept. */
type Outcome = { readonly row: ConnectionRow } | { readonly error: unknown } | 'changed' | 'asked by another'

/** How often it is looked whether another's answer has come. */
const againMs = 200

export function createRefreshRow(options: RefreshOptions): RefreshRow {
  const { hold, permitsOf, read, tokens, providers, late, pending, answerMs, deadlineMs } = options
  const { stopping, refreshed, log, now, random } = options

  /** The first second, doubling, to a minute. */
  const retryAt = (failures: number) =>
    new Date(now() + Math.min(1000 * 2 ** Math.min(failures - 1, 10), 60_000) * (0.5 + random() / 2))

  /** What a provider says in time; what comes later is kept all the same, since the old token may be dead by then. */
  async function ask(provider: Provider, row: ConnectionRow, held: ProviderTokens): Promise<ProviderTokens> {
    let isLate = false
    const asking = provider.refresh(held, { id: row.providerUserId }).then(async (reply) => {
      if (isLate) late.keep({ row, change: await renewed(row, held, reply, provider) })
      return reply
    })
    const reply = await pending.within(answerMs, asking, undefined)
    if (reply !== undefined) return reply
    isLate = true
    throw new GatewayError('provider_timeout')
  }

  async function renewed(
    row: ConnectionRow,
    held: ProviderTokens,
    reply: ProviderTokens,
    provider: Provider,
  ): Promise<RowChange> {
    const all = { ...reply, refreshToken: reply.refreshToken ?? held.refreshToken }
    return {
      ...(await grantedColumns(row, all, { tokens, provider, now: now() })),
      generation: row.generation + 1,
      lastRefreshedAt: new Date(now()),
    }
  }

  async function endedBy(error: unknown, { row, change }: HeldRow): Promise<Outcome> {
    const fields = { provider: row.provider, connection: row.id }
    if (error instanceof GatewayError && error.code === 'invalid_grant') {
      log.info(fields, 'the provider does not know a refresh token any more: the user has to log in again')
      return (await change({ state: 'needs_reauth', updatedAt: changedAt(row, now()) }))
        ? { error: reauthorizationRequired() }
        : 'changed'
    }
    const failures = row.failures + 1
    const code = error instanceof GatewayError ? error.code : 'internal_error'
    log.warn({ ...fields, code, failures }, 'a token could not be refreshed and is tried again later')
    await change({ failures, retryAt: retryAt(failures) })
    // An error that is none of ours may carry what the provider sent.
    return { error: error instanceof GatewayError ? error : new GatewayError('provider_bad_response') }
  }

  async function attempt(version: Version): Promise<ConnectionRow | 'asked by another'> {
    await late.settle(version.id)
    let granted: { row: ConnectionRow; change: RowChange } | undefined
    let outcome: Outcome
    try {
      outcome = await hold(version, async (held): Promise<Outcome> => {
        if (held === undefined) return { error: gone() }
        const { row, change } = held
        if (row.state === 'needs_reauth') return { error: reauthorizationRequired() }
        if (row.updatedAt > version.updatedAt) return { row }
        const provider = providers.get(row.provider)
        if (provider === undefined) return { error: unconfigured(row.provider) }
        if (row.retryAt != null && row.retryAt.getTime() > now())
          return { error: waiting(row.retryAt, now()) }
        const opened = await tokens.open(row)
        if (!provider.canRefresh(opened)) return { error: await unrefreshable(held) }
        if (stopping()) return { error: postponed(1000) }
        if (!(await held.begin())) return 'asked by another'
        let reply: ProviderTokens
        try {
          reply = await held.whileAsking(() => ask(provider, row, opened))
        } catch (error) {
          refreshed?.(row.provider, error instanceof GatewayError ? error.code : 'internal_error')
          return endedBy(error, held)
        }
        refreshed?.(row.provider, 'success')
        granted = { row, change: await renewed(row, opened, reply, provider) }
        return (await change(granted.change)) ? { row: { ...row, ...granted.change } } : 'changed'
      })
    } catch (error) {
      if (granted !== undefined) late.keep(granted)
      throw error
    }
    if (outcome === 'asked by another') return outcome
    if (outcome === 'changed') {
      // The user has logged in again, or has removed it: then what was granted just now is to be ended.
      if (granted !== undefined) await late.write(granted)
      const row = await read(version)
      if (row.state === 'needs_reauth') throw reauthorizationRequired()
      return row
    }
    if ('error' in outcome) throw outcome.error
    return outcome.row
  }

  return async function refreshRow(version) {
    const permits = permitsOf(version.provider)
    for (const deadline = performance.now() + deadlineMs; ; ) {
      const row = await permits(() => attempt(version))
      if (row !== 'asked by another') return row
      if (performance.now() > deadline) throw postponed(1000)
      // Without a permit: who waits for another process keeps nobody from asking for other connections.
      await delay(againMs)
    }
  }

  async function unrefreshable({ row, change }: HeldRow): Promise<GatewayError> {
    const isOver = row.expiresAt != null && row.expiresAt.getTime() <= now()
    if (isOver) await change({ state: 'needs_reauth', updatedAt: changedAt(row, now()) })
    return reauthorizationRequired('This token cannot be renewed without the user, who has to log in again.')
  }
}

export function reauthorizationRequired(
  detail = 'The provider does not renew this token any more: the user has to log in again.',
): GatewayError {
  return new GatewayError('reauthorization_required', { detail })
}

export function gone(): GatewayError {
  return new GatewayError('not_found', { detail: 'There is no such connection.' })
}

export function waiting(retryAt: Date, now: number): GatewayError {
  return postponed(retryAt.getTime() - now)
}

/** It may be again tomorrow. */
function unconfigured(provider: string): GatewayError {
  return postponed(60_000, `The provider ${provider} is not configured at this gateway (any more).`)
}
