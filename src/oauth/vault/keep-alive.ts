import type { Database } from '../../persistence/database.ts'
import { ConnectionEntity } from '../entities.ts'
import type { Version } from './refresh.ts'

export interface KeepAliveOptions {
  readonly database: Pick<Database, 'run'>
  /** The providers that can be asked. */
  readonly providers: ReadonlyMap<string, unknown>
  /** Says itself what goes wrong. */
  readonly refresh: (version: Version) => Promise<unknown>
  readonly now: () => number
}

const batchSize = 50

/** Refreshes connections that would die of disuse. One after the other: nobody waits for it. */
export function createKeepAlive({ database, providers, refresh, now }: KeepAliveOptions) {
  return async function sweep(stopped: () => boolean): Promise<void> {
    // By id, so that one that stays due is not met twice.
    for (let seen = ''; !stopped(); ) {
      const at = new Date(now())
      const where = {
        state: 'active' as const,
        provider: { $in: [...providers.keys()] },
        keepAliveAt: { $lte: at },
        $or: [{ retryAt: null }, { retryAt: { $lte: at } }],
        ...(seen !== '' && { id: { $gt: seen } }),
      }
      const fields = ['id', 'subject', 'provider', 'updatedAt'] as const
      const batch = await database.run((em) =>
        em.find(ConnectionEntity, where, {
          ...{ fields, limit: batchSize, orderBy: { id: 'asc' }, disableIdentityMap: true },
        }),
      )
      for (const version of batch) {
        if (stopped()) return
        await refresh(version).catch(() => {})
      }
      if (batch.length < batchSize) return
      seen = batch.at(-1)!.id
    }
  }
}
