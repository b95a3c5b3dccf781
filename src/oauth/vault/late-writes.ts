import { GatewayError } from '../../errors.ts'
import type { Log } from '../../observability/log.ts'
import type { Database } from '../../persistence/database.ts'
import { retryDelayMs } from '../../persistence/faults.ts'
import { ConnectionEntity, type ConnectionRow } from '../entities.ts'
import type { Questions } from './questions.ts'
import type { EndedGrant, Revocations } from './revocations.ts'
import type { TokenSealer } from './sealed-tokens.ts'
import { changedAt, changeRow, type LockTimes, lockRow, type RowChange, readRow } from './vault-rows.ts'

/** Tokens that a provider gave while the database was away, for the row as it was read. */
interface LateWrite {
  readonly row: ConnectionRow
  /** `sealedAccessToken` among it: nothing is kept here in clear. */
  readonly change: RowChange
}

/** A rotated token is the only one that is good: it is written as soon as the database is back. */
export interface LateWrites {
  /** Keeps it, and tries until it is written. */
  keep(late: LateWrite): void
  /** Writes it now where a connection has one. @throws GatewayError `database_unavailable` where it is still away */
  settle(id: string): Promise<void>
  /**
   * Writes one, unless the row was renewed otherwise. Where it has been removed the grant is put among those to be
   * ended.
   */
  write(late: LateWrite): Promise<void>
  /** Tries once more, and says how many are lost. */
  stop(): Promise<void>
}

export interface LateWritesOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly shared: boolean
  readonly tokens: TokenSealer
  readonly revocations: Pick<Revocations, 'add'>
  readonly questions: Pick<Questions, 'end'>
  /** For a row that another replica holds. */
  readonly times: LockTimes
  readonly log: Log
  readonly now: () => number
}

/** Of different connections. */
const mostKept = 10_000
/** Tries that failed though the database answered. */
const mostRefusals = 20

export function createLateWrites(options: LateWritesOptions): LateWrites {
  const { database, shared, tokens, revocations, questions, times, log, now } = options
  const kept = new Map<string, LateWrite & { refusals: number }>()
  const writing = new Map<string, Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let failures = 0
  let stopped = false

  function write({ row, change }: LateWrite): Promise<void> {
    return database.transaction(async (em) => {
      const which = { id: row.id }
      const found = shared ? await lockRow(em, which, times) : await readRow(em, which)
      if (shared) await questions.end(em, row.id)
      if (found === undefined) {
        const { subject, provider, providerUserId } = row
        const again = await em.count(ConnectionEntity, { subject, provider, providerUserId })
        if (again === 0) await revocations.add(em, await grantOf({ row, change }), false)
      } else if (found.generation === row.generation) {
        await changeRow(em, found, { ...change, updatedAt: changedAt(found, now()) })
      }
    })
  }

  async function grantOf({ row, change }: LateWrite): Promise<EndedGrant> {
    const { provider, providerUserId } = row
    return { provider, providerUserId, tokens: await tokens.open({ ...row, ...change } as ConnectionRow) }
  }

  async function attempt(id: string): Promise<void> {
    const late = kept.get(id)
    if (late === undefined) return
    try {
      await write(late)
      // Another may have come in its place meanwhile.
      if (kept.get(id) === late) kept.delete(id)
    } catch (error) {
      if (!isAway(error) && ++late.refusals > mostRefusals) {
        kept.delete(id)
        log.error({ provider: late.row.provider, connection: id }, 'a refreshed token could not be written')
      }
      throw error
    }
  }

  async function settle(id: string): Promise<void> {
    const going = writing.get(id) ?? attempt(id).finally(() => writing.delete(id))
    writing.set(id, going)
    await going
  }

  function schedule(): void {
    if (stopped || timer !== undefined || kept.size === 0) return
    timer = setTimeout(
      async () => {
        failures = (await settleAll()) ? 0 : failures + 1
        timer = undefined
        schedule()
      },
      retryDelayMs(failures + 1),
    )
  }

  /** One after the other: where one finds the database away, so would the rest. */
  async function settleAll(): Promise<boolean> {
    let failed = false
    for (const id of [...kept.keys()]) {
      try {
        await settle(id)
      } catch (error) {
        failed = true
        if (isAway(error)) break
      }
    }
    return !failed
  }

  return {
    keep(late) {
      const { id, provider } = late.row
      if (stopped || kept.size >= mostKept) {
        const why = stopped ? 'the gateway has stopped' : 'too many wait for the database'
        log.error({ provider, connection: id }, `a refreshed token is lost: ${why}`)
        return
      }
      log.warn({ provider, connection: id }, 'a refreshed token is kept until the database is back')
      kept.set(id, { ...late, refusals: 0 })
      schedule()
    },
    settle: (id) => (kept.has(id) ? settle(id) : Promise.resolve()),
    write,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await settleAll()
      if (kept.size > 0) log.error({ count: kept.size }, 'refreshed tokens are lost: the database is away')
    },
  }
}

function isAway(error: unknown): boolean {
  return (
    error instanceof GatewayError &&
    (error.code === 'database_unavailable' || error.code === 'refresh_postponed')
  )
}
