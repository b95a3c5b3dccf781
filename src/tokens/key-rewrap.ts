import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Sealer } from '../persistence/sealer.ts'
import { SigningKeyEntity } from './entities.ts'
import { lock, notify, readKeyAges } from './key-rotation.ts'
import { resealPrivateKey } from './signing-key.ts'

export interface Rewrapped {
  /** How many were sealed anew. */
  readonly count: number
  /** Why others could not be, one message each. */
  readonly failures: readonly string[]
}

/** Seals every signing key anew that is not under the newest encryption key; to be called in a transaction. */
export async function rewrapKeys(em: SqlEntityManager, sealer: Sealer): Promise<Rewrapped> {
  await lock(em)
  const { active, next, retired } = await readKeyAges(em)
  const failures: string[] = []
  let count = 0
  for (const key of [active, next, ...retired].filter((one) => one !== undefined)) {
    const sealedPrivateKey = await resealPrivateKey(sealer, key).catch((error) => {
      failures.push(error instanceof Error ? error.message : String(error))
    })
    if (typeof sealedPrivateKey !== 'string') continue
    await em.nativeUpdate(SigningKeyEntity, { kid: key.kid }, { sealedPrivateKey })
    count += 1
  }
  await notify(em)
  return { count, failures }
}
