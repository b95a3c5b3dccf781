import { GatewayError } from '../../errors.ts'
import type { ConnectionRow } from '../entities.ts'
import type { Provider } from '../provider.ts'
import type { Pending } from './pending.ts'
import { reauthorizationRequired, type Version, waiting } from './refresh.ts'
import type { TokenSealer } from './sealed-tokens.ts'

export interface FreshOptions {
  readonly read: (version: Version) => Promise<ConnectionRow>
  readonly refresh: (version: Version) => Promise<ConnectionRow>
  readonly tokens: TokenSealer
  readonly providers: ReadonlyMap<string, Provider>
  readonly pending: Pending
  readonly refreshAheadMs: number
  readonly now: () => number
}

/** Whoever hears one of these gets no token, though the stored one may have a minute to live. */
const isFinal: ReadonlySet<string> = new Set([
  'reauthorization_required',
  'not_found',
  'vault_unreadable',
  'database_unavailable',
])

/** Whoever could do with the stored token does not wait for longer than this for a new one, which comes all the same. */
const patienceMs = 2000

/** Gives a row whose access token is good for a while yet, or at least still good; see `Vault.fresh`. */
export function createFresh(options: FreshOptions) {
  const { read, refresh, tokens, providers, pending, refreshAheadMs, now } = options
  const leftMs = ({ expiresAt }: ConnectionRow) =>
    expiresAt == null ? Number.POSITIVE_INFINITY : expiresAt.getTime() - now()

  /** One that lives for a minute is not refreshed at every request. */
  const isFresh = (row: ConnectionRow) => {
    const lifetimeMs = row.expiresAt == null ? 0 : row.expiresAt.getTime() - row.updatedAt.getTime()
    return leftMs(row) > Math.min(refreshAheadMs, lifetimeMs / 2)
  }

  const isGood = (row: ConnectionRow) => leftMs(row) > 0

  /** Whether the provider need not be asked, since nothing would come of it. */
  async function isInVain(row: ConnectionRow): Promise<boolean> {
    if (row.retryAt != null && row.retryAt.getTime() > now()) return true
    const provider = providers.get(row.provider)
    return provider === undefined || !provider.canRefresh(await tokens.open(row))
  }

  return async function fresh(version: Version): Promise<ConnectionRow> {
    const row = await read(version)
    if (row.state === 'needs_reauth') throw reauthorizationRequired()
    if (isFresh(row)) return row
    if (isGood(row) && (await isInVain(row))) return row
    if (row.retryAt != null && row.retryAt.getTime() > now()) throw waiting(row.retryAt, now())
    try {
      const refreshing = refresh(row)
      const inTime = isGood(row) && (await pending.within(patienceMs, refreshing, undefined))
      return inTime || (isGood(row) ? row : await refreshing)
    } catch (error) {
      const isLost = error instanceof GatewayError && isFinal.has(error.code)
      if (isLost || !isGood(row)) throw error
      return row
    }
  }
}
