import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Sealer } from '../../persistence/sealer.ts'
import type { Rewrapped } from '../../tokens/key-rewrap.ts'
import { ConnectionEntity, ProviderRevocationEntity } from '../entities.ts'
import { accessTokenPlace, refreshTokenPlace, revocationPlace } from './sealed-tokens.ts'
import { type LockTimes, lockRow } from './vault-rows.ts'

const batchSize = 200
/** A refresh has its row for as long as a provider may take. */
const times: LockTimes = { sliceMs: 250, deadlineMs: 90_000 }

/**
 * Seals whatever of the vault is not under the newest encryption key anew, each row in a transaction of its own; those
 * that are current are not touched. Logins that are under way are left alone: they are over in minutes.
 * @param em not in a transaction
 */
export async function rewrapVault(em: SqlEntityManager, sealer: Sealer): Promise<Rewrapped> {
  const failures: string[] = []
  let count = 0

  async function sealAnew(row: () => Promise<boolean>): Promise<void> {
    try {
      if (await row()) count += 1
    } catch (error) {
      if (isOfSealer(error)) failures.push(error.message)
      else throw error
    }
  }

  for await (const { id, sealedAccessToken, sealedRefreshToken } of connections(em)) {
    if (isCurrent(sealer, sealedAccessToken) && isCurrent(sealer, sealedRefreshToken)) continue
    await sealAnew(() => rewrapConnection(em, sealer, id))
  }
  for await (const { id, sealedTokens } of revocations(em)) {
    if (sealer.isCurrent(sealedTokens)) continue
    await sealAnew(async () => {
      const anew = await reseal(sealer, sealedTokens, revocationPlace(id))
      // It never changes; it may only be gone.
      return (await em.nativeUpdate(ProviderRevocationEntity, { id }, { sealedTokens: anew })) === 1
    })
  }
  return { count, failures }
}

/** Reads it again once it is locked: a refresh may have sealed it anew meanwhile. */
function rewrapConnection(em: SqlEntityManager, sealer: Sealer, id: string): Promise<boolean> {
  return em.transactional(async (transaction) => {
    const row = await lockRow(transaction, { id }, times)
    if (row === undefined) return false
    const { sealedAccessToken, sealedRefreshToken } = row
    if (isCurrent(sealer, sealedAccessToken) && isCurrent(sealer, sealedRefreshToken)) return false
    const change = {
      sealedAccessToken: await reseal(sealer, sealedAccessToken, accessTokenPlace(id)),
      sealedRefreshToken:
        sealedRefreshToken == null ? null : await reseal(sealer, sealedRefreshToken, refreshTokenPlace(id)),
    }
    await transaction.nativeUpdate(ConnectionEntity, { id }, change)
    return true
  })
}

const isCurrent = (sealer: Sealer, sealed: string | null | undefined) =>
  sealed == null || sealer.isCurrent(sealed)

async function reseal(sealer: Sealer, sealed: string, place: string): Promise<string> {
  return sealer.seal(await sealer.open(sealed, place).catch(ofSealer), place)
}

const connections = (em: SqlEntityManager) =>
  everyRow((where, page) => {
    const fields = ['id', 'sealedAccessToken', 'sealedRefreshToken'] as const
    return em.find(ConnectionEntity, where, { ...page, fields })
  })

const revocations = (em: SqlEntityManager) =>
  everyRow((where, page) => {
    const fields = ['id', 'sealedTokens'] as const
    return em.find(ProviderRevocationEntity, where, { ...page, fields })
  })

const page = { orderBy: { id: 'asc' }, limit: batchSize, disableIdentityMap: true } as const

/** A table's rows in the order of their ids, a batch at a time. */
async function* everyRow<Row extends { readonly id: string }>(
  find: (where: { id?: { $gt: string } }, as: typeof page) => Promise<readonly Row[]>,
) {
  for (let seen = ''; ; ) {
    const batch = await find(seen === '' ? {} : { id: { $gt: seen } }, page)
    yield* batch
    if (batch.length < batchSize) return
    seen = batch.at(-1)!.id
  }
}

/** Its errors name the place and never the content: they may be shown, and the rest can be sealed anew all the same. */
class Unopened extends Error {}

function ofSealer(error: unknown): never {
  throw new Unopened(error instanceof Error ? error.message : String(error))
}

const isOfSealer = (error: unknown): error is Unopened => error instanceof Unopened
