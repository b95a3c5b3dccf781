import { randomUUID } from 'node:crypto'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { ConnectionEntity, type ConnectionRow } from '../entities.ts'
import type { Grant, Provider, ProviderTokens } from '../provider.ts'
import type { TokenSealer } from './sealed-tokens.ts'
import { changedAt, changeRow, type LockTimes, lockRow, readRow } from './vault-rows.ts'

interface Making {
  readonly tokens: TokenSealer
  /** Undefined where it is not configured any more. */
  readonly provider: Provider | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** The columns that follow from new tokens. @param row as it is; for a new one with neither scope nor age */
export async function grantedColumns(
  row: Pick<ConnectionRow, 'id' | 'scope' | 'updatedAt'>,
  granted: ProviderTokens,
  { tokens, provider, now }: Making,
) {
  return {
    ...(await tokens.seal(row.id, granted)),
    tokenType: granted.tokenType,
    scope: granted.scope ?? row.scope,
    expiresAt: dateOf(granted.expiresAt),
    updatedAt: changedAt(row, now),
    state: 'active' as const,
    failures: 0,
    retryAt: null,
    keepAliveAt: dateOf(provider?.keepAliveAt(granted, Math.floor(now / 1000))),
  }
}

export interface StoreOptions extends Pick<Making, 'tokens'> {
  readonly providers: ReadonlyMap<string, Provider>
  /** Undefined where nobody else can have the row. */
  readonly times: LockTimes | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Writes a grant into a new connection, or into that which the subject has with this account. */
export async function storeGrant(
  em: SqlEntityManager,
  given: { readonly subject: string; readonly provider: string; readonly grant: Grant },
  { providers, times, tokens, now: clock }: StoreOptions,
): Promise<ConnectionRow> {
  const { subject, provider, grant } = given
  const account = { subject, provider, providerUserId: grant.profile.id }
  const read = () => (times === undefined ? readRow(em, account) : lockRow(em, account, times))
  const found = await read()
  // Not before: what was removed while this waited was removed earlier than this is stored.
  const now = clock()
  const making = { tokens, provider: providers.get(provider), now }

  async function renew(row: ConnectionRow): Promise<ConnectionRow> {
    const isKept = grant.tokens.refreshToken === undefined && row.sealedRefreshToken != null
    const { sealedRefreshToken, keepAliveAt, ...columns } = await grantedColumns(row, grant.tokens, making)
    const change = {
      ...columns,
      // A refresh token that is kept is as old as it was.
      keepAliveAt: keepAliveAt ?? (isKept ? row.keepAliveAt : null),
      ...(!isKept && { sealedRefreshToken }),
      profile: grant.profile,
      generation: row.generation + 1,
    }
    await changeRow(em, row, change)
    return { ...row, ...change }
  }

  if (found !== undefined) return renew(found)
  const id = randomUUID()
  const empty = { id, scope: '', updatedAt: new Date(0) }
  const row = {
    ...(await grantedColumns(empty, grant.tokens, making)),
    ...{ id, ...account, profile: grant.profile },
    ...{ createdAt: new Date(now), lastRefreshedAt: null, generation: 0 },
  }
  // Where another login of the same account was first this waits for it, and inserts nothing.
  await em.upsert(ConnectionEntity, row, {
    ...{ onConflictFields: ['subject', 'provider', 'providerUserId'], onConflictAction: 'ignore' },
    disableIdentityMap: true,
  })
  const stored = (await read())!
  return stored.id === id ? stored : renew(stored)
}

/** @param seconds since the epoch; what no calendar has is never */
function dateOf(seconds: number | undefined): Date | null {
  if (seconds === undefined || !(seconds < 253_402_300_800)) return null
  return new Date(Math.max(0, seconds) * 1000)
}
