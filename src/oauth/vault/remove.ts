import { setTimeout as delay } from 'node:timers/promises'
import { GatewayError } from '../../errors.ts'
import type { Log } from '../../observability/log.ts'
import type { Database } from '../../persistence/database.ts'
import { ConnectionEntity, type ConnectionRow } from '../entities.ts'
import type { LateWrites } from './late-writes.ts'
import type { Questions } from './questions.ts'
import type { EndedGrant, Revocations } from './revocations.ts'
import type { TokenSealer } from './sealed-tokens.ts'
import type { Flights } from './single-flight.ts'
import type { Vault } from './vault.ts'
import { findConnection, type LockTimes, lockRow, readRow } from './vault-rows.ts'

export interface RemoveOptions {
  readonly database: Pick<Database, 'run' | 'transaction'>
  readonly shared: boolean
  readonly times: LockTimes
  readonly tokens: TokenSealer
  readonly revocations: Pick<Revocations, 'add' | 'tryNow'>
  readonly questions: Pick<Questions, 'end'>
  readonly late: Pick<LateWrites, 'settle'>
  readonly flights: Pick<Flights<ConnectionRow>, 'ended'>
  readonly log: Log
}

/** Of a wait for a row that somebody else has: this long with a connection of the pool, and then without one. */
const waitMs = { held: 20, free: 250 }

/** Erases a connection, and puts its grant among those to be ended, in one transaction; then tries to end it. */
export function createRemove(options: RemoveOptions): Vault['remove'] {
  const { database, shared, times, tokens, revocations, questions, late, flights, log } = options

  /** Undefined where they cannot be read: it must be possible to erase them all the same. */
  async function grantOf(row: ConnectionRow): Promise<EndedGrant | undefined> {
    const { id, provider, providerUserId } = row
    try {
      return { provider, providerUserId, tokens: await tokens.open(row) }
    } catch {
      log.warn(
        { provider, connection: id },
        'a grant cannot be ended at its provider: its tokens are unreadable',
      )
      return undefined
    }
  }

  /** Many may want to remove what a provider that does not answer keeps locked: they must not take the whole pool. */
  async function patiently<T>(attempt: (slice: LockTimes) => Promise<T>): Promise<T> {
    const deadline = performance.now() + times.deadlineMs
    for (;;) {
      try {
        return await attempt({ sliceMs: waitMs.held, deadlineMs: 0 })
      } catch (error) {
        const isLocked = error instanceof GatewayError && error.code === 'refresh_postponed'
        if (!isLocked || performance.now() > deadline) throw error
      }
      await delay(waitMs.free)
    }
  }

  return async (id, subject) => {
    if ((await database.run((em) => findConnection(em, id, subject))) === undefined) return undefined
    // Where it is being refreshed, the tokens to come are those to be revoked.
    await flights.ended(id)
    await late.settle(id)
    const removed = await patiently((slice) =>
      database.transaction(async (em) => {
        const which = { id, subject }
        const row = shared ? await lockRow(em, which, slice) : await readRow(em, which)
        if (row === undefined) return undefined
        const grant = await grantOf(row)
        await em.nativeDelete(ConnectionEntity, which)
        await questions.end(em, id)
        return { grant, revocation: grant && (await revocations.add(em, grant, true)) }
      }),
    )
    if (removed === undefined) return undefined
    const { grant, revocation } = removed
    if (grant === undefined || revocation === undefined) return 'unsupported'
    return revocations.tryNow(revocation, grant)
  }
}
