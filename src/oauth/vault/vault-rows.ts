import { LockMode } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { GatewayError } from '../../errors.ts'
import { ConnectionEntity, type ConnectionRow } from '../entities.ts'
import type { Connection, ListQuery } from './vault.ts'

/** What of a connection changes after it came into being. */
export type RowChange = Partial<Omit<ConnectionRow, 'id' | 'subject' | 'provider' | 'providerUserId'>>

/** By its id and whose it is, or by whose account it is. */
export type Which = Partial<Pick<ConnectionRow, 'id' | 'subject' | 'provider' | 'providerUserId'>>

const shown = [
  ...(['id', 'subject', 'provider', 'profile', 'scope', 'tokenType', 'expiresAt', 'createdAt'] as const),
  ...(['updatedAt', 'lastRefreshedAt', 'state'] as const),
] as const

const isUuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i

/** Without its tokens; undefined also where the id is none. */
export async function findConnection(em: SqlEntityManager, id: string, subject: string) {
  if (!isUuid.test(id)) return undefined
  const row = await em.findOne(ConnectionEntity, { id, subject }, { fields: shown, disableIdentityMap: true })
  return row === null ? undefined : toConnection(row as ConnectionRow)
}

/** Newest first; ids decide between those of the same moment. */
export async function listConnections(em: SqlEntityManager, { subject, provider, limit, after }: ListQuery) {
  const where = {
    subject,
    ...(provider !== undefined && { provider }),
    ...(after !== undefined && {
      $or: [
        { createdAt: { $lt: after.createdAt } },
        { createdAt: after.createdAt, ...(isUuid.test(after.id) && { id: { $lt: after.id } }) },
      ],
    }),
  }
  const orderBy = { createdAt: 'desc', id: 'desc' } as const
  const rows = await em.find(ConnectionEntity, where, {
    ...{ fields: shown, limit, orderBy, disableIdentityMap: true },
  })
  return rows.map((row) => toConnection(row as ConnectionRow))
}

export async function latestConnection(em: SqlEntityManager, subject: string, provider: string) {
  const [row] = await em.find(
    ConnectionEntity,
    { subject, provider },
    // `active` comes before `needs_reauth`. Not by the last update: a refresh is one, and no choice of the user's.
    {
      ...{ fields: shown, limit: 1, disableIdentityMap: true },
      orderBy: { state: 'asc', createdAt: 'desc', id: 'desc' },
    },
  )
  return row === undefined ? undefined : toConnection(row as ConnectionRow)
}

/** The whole row, with what is sealed. */
export async function readRow(em: SqlEntityManager, which: Which): Promise<ConnectionRow | undefined> {
  const row = await em.findOne(ConnectionEntity, which, { disableIdentityMap: true })
  return (row as ConnectionRow | null) ?? undefined
}

export interface LockTimes {
  /** One wait; well below the statement timeout, which would cost the connection. */
  readonly sliceMs: number
  /** All waits. */
  readonly deadlineMs: number
}

/**
 * Locks a row until the transaction ends, and reads what is in it then.
 * @throws GatewayError `refresh_postponed` where somebody else has it for longer than the deadline
 */
export async function lockRow(
  em: SqlEntityManager,
  which: Which,
  { sliceMs, deadlineMs }: LockTimes,
): Promise<ConnectionRow | undefined> {
  const deadline = performance.now() + deadlineMs
  await em.execute(`select set_config('lock_timeout', ?, true)`, [String(sliceMs)])
  for (;;) {
    // A wait that is given up must not take the transaction with it.
    await em.execute('savepoint before_lock')
    try {
      const row = await em.findOne(ConnectionEntity, which, {
        lockMode: LockMode.PESSIMISTIC_WRITE,
        disableIdentityMap: true,
      })
      await em.execute('set local lock_timeout to default')
      return (row as ConnectionRow | null) ?? undefined
    } catch (error) {
      if (!isLockTimeout(error)) throw error
      await em.execute('rollback to savepoint before_lock')
      if (performance.now() > deadline) throw postponed(1000)
    }
  }
}

/** Changes a row unless its tokens were replaced since it was read, or it was removed. Gives whether it did. */
export async function changeRow(
  em: SqlEntityManager,
  { id, generation }: Pick<ConnectionRow, 'id' | 'generation'>,
  change: RowChange,
): Promise<boolean> {
  return (await em.nativeUpdate(ConnectionEntity, { id, generation }, change)) === 1
}

/** When a row is said to have been changed: always later than before, so that it tells one version from another. */
export function changedAt(row: Pick<ConnectionRow, 'updatedAt'>, now: number): Date {
  return new Date(Math.max(now, row.updatedAt.getTime() + 1))
}

export function toConnection(row: ConnectionRow): Connection {
  const { id, subject, provider, profile, scope, tokenType, createdAt, updatedAt, state } = row
  return {
    ...{ id, subject, provider, profile, scope, tokenType, createdAt, updatedAt, state },
    expiresAt: row.expiresAt ?? undefined,
    lastRefreshedAt: row.lastRefreshedAt ?? undefined,
  }
}

/** Not now. @param forMs at least a second is told */
export function postponed(forMs: number, detail?: string): GatewayError {
  const seconds = Math.max(1, Math.ceil(forMs / 1000))
  return new GatewayError('refresh_postponed', {
    headers: { 'Retry-After': String(seconds) },
    detail: detail ?? 'The token could not be refreshed, and is not tried again at once.',
  })
}

/** SQLSTATE lock_not_available. */
function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03'
}
