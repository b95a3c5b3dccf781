import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Log } from '../../observability/log.ts'
import type { Database } from '../../persistence/database.ts'
import type { Sealer } from '../../persistence/sealer.ts'
import type { ConnectionRow } from '../entities.ts'
import type { Grant, Provider, ProviderProfile } from '../provider.ts'
import { createFresh } from './fresh.ts'
import { createKeepAlive } from './keep-alive.ts'
import { createLateWrites } from './late-writes.ts'
import { createPending } from './pending.ts'
import { createPermits, createShares, type Permits } from './permits.ts'
import { createQuestions } from './questions.ts'
import { createRefreshRow, gone, type RefreshOptions, type Version } from './refresh.ts'
import { createRemove } from './remove.ts'
import { createRepeated } from './repeat.ts'
import { createRevocations } from './revocations.ts'
import { createRowGuard, createRowLock } from './row-hold.ts'
import { createTokenSealer } from './sealed-tokens.ts'
import { createFlights } from './single-flight.ts'
import { storeGrant } from './stored-grant.ts'
import {
  findConnection,
  latestConnection,
  listConnections,
  postponed,
  readRow,
  toConnection,
} from './vault-rows.ts'

/** An account elsewhere, connected to one of our subjects; without its tokens. */
export interface Connection {
  readonly id: string
  readonly subject: string
  readonly provider: string
  readonly profile: ProviderProfile
  /** Space-separated; empty where the provider did not say. */
  readonly scope: string
  readonly tokenType: string
  /** Of the access token; undefined for one that does not expire. */
  readonly expiresAt: Date | undefined
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly lastRefreshedAt: Date | undefined
  readonly state: 'active' | 'needs_reauth'
}

/** The same with a token that is good now. The refresh token never leaves the vault. */
export interface FreshConnection extends Connection {
  readonly accessToken: string
}

export interface ListQuery {
  readonly subject: string
  readonly provider?: string | undefined
  readonly limit: number
  /** The last one of the page before. */
  readonly after?: { readonly createdAt: Date; readonly id: string } | undefined
}

/** What became of a grant at its provider when its connection was removed. */
export type Revocation = 'done' | 'queued' | 'unsupported'

/** Keeps the keys to the callers' accounts elsewhere. A connection is found by its id and whose it is, or not at all. */
export interface Vault {
  /**
   * Writes what a provider granted, in the caller's transaction: a new connection, or the one that the subject has
   * with this account already, renewed (a refresh token that is not granted anew is kept).
   */
  store(
    em: SqlEntityManager,
    given: { readonly subject: string; readonly provider: string; readonly grant: Grant },
  ): Promise<FreshConnection>
  find(id: string, subject: string): Promise<Connection | undefined>
  /** Newest first. */
  list(query: ListQuery): Promise<readonly Connection[]>
  /** The one that was connected last of those that are active, else of all. */
  latest(subject: string, provider: string): Promise<Connection | undefined>
  /**
   * With a token that is good for a while yet: refreshed first where it is about to expire. Where that fails and the
   * stored one is still good, with that.
   * @throws GatewayError `reauthorization_required`, `refresh_postponed`, `vault_unreadable`, `database_unavailable`,
   *   or what the provider makes of it (`provider_*`); `not_found` where it was removed meanwhile
   */
  fresh(connection: Connection): Promise<FreshConnection>
  /** Refreshes whatever its age; who asks while it is being refreshed, by whichever replica, gets the same token. */
  refresh(connection: Connection): Promise<FreshConnection>
  /** Erases it and ends its grant at the provider, now or, where that is away, later; undefined where there is none. */
  remove(id: string, subject: string): Promise<Revocation | undefined>
  /** Begins what goes on in the background: keeping connections alive, and ending grants that are still to be ended. */
  start(): void
  stop(): Promise<void>
}

export interface VaultOptions {
  readonly database: Database
  /** Whether several processes may have the database: then a refresh holds a row lock in it. */
  readonly shared: boolean
  /** Of the database's pool; refreshes that hold locks take half of it at the most. */
  readonly poolSize: number
  /** A statement's; one that waits for a lock must end before it. */
  readonly statementTimeoutMs: number
  readonly sealer: Sealer
  readonly providers: ReadonlyMap<string, Provider>
  /** The longest that a provider takes for one question: a lock is waited for longer than that. */
  readonly providerTimeoutMs: number
  /** How long before its end a token is refreshed. */
  readonly refreshAheadMs: number
  /** See refresh.ts. */
  readonly refreshed?: RefreshOptions['refreshed']
  readonly log: Log
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly random?: () => number
}

/** What a lock or a permit is waited for beyond what a provider may take. */
const slackMs = 5000
const sweepMs = { keepAlive: 600_000, revocations: 60_000 }

export function createVault(options: VaultOptions): Vault {
  const { database, shared, sealer, providers, refreshAheadMs, log } = options
  const { now = Date.now, random = Math.random } = options
  const answerMs = options.providerTimeoutMs + slackMs
  const times = {
    sliceMs: Math.max(1, Math.floor(options.statementTimeoutMs / 2)),
    deadlineMs: answerMs + slackMs,
  }
  const tokens = createTokenSealer(sealer, log)
  const pending = createPending()
  const revocations = createRevocations({
    ...{ database, sealer, tokens, providers, answerMs, log, now, random },
  })
  const questions = createQuestions({ database })
  const late = createLateWrites({ database, shared, tokens, revocations, questions, times, log, now })
  const hold = shared
    ? createRowLock(database, { ...times, idleMs: answerMs + slackMs }, questions)
    : createRowGuard(database)
  // Each of them holds a connection of the pool while the provider is asked.
  const most = shared ? Math.max(1, Math.floor(options.poolSize / 2)) : 32
  const permits = createPermits(most, times.deadlineMs, () => postponed(1000))
  const shareOf = createShares(providers.keys(), most, times.deadlineMs, () => postponed(1000))
  const permitsOf =
    (provider: string): Permits =>
    (work) =>
      shareOf(provider)(() => permits(work))
  let stopping = false
  const flights = createFlights<ConnectionRow>()

  async function read({ id, subject }: Pick<Connection, 'id' | 'subject'>): Promise<ConnectionRow> {
    await late.settle(id)
    const row = await database.run((em) => readRow(em, { id, subject }))
    if (row === undefined) throw gone()
    return row
  }

  const refreshRow = createRefreshRow({
    ...{ hold, permitsOf, read, tokens, providers, late, pending, answerMs, log, now, random },
    deadlineMs: times.deadlineMs,
    stopping: () => stopping,
    refreshed: options.refreshed,
  })
  const refresh = (version: Version) =>
    flights.join(
      version.id,
      ({ updatedAt }) => updatedAt > version.updatedAt,
      () => refreshRow(version),
    )

  const opened = async (row: ConnectionRow): Promise<FreshConnection> => ({
    ...toConnection(row),
    accessToken: await tokens.openAccess(row),
  })

  const fresh = createFresh({ read, refresh, tokens, providers, pending, refreshAheadMs, now })
  const remove = createRemove({
    ...{ database, shared, times, tokens, revocations, questions, late, flights, log },
  })
  const ready = database.ready
  const background = [
    createRepeated({
      ...{ everyMs: sweepMs.keepAlive, ready, random },
      work: createKeepAlive({ database, providers, refresh, now }),
    }),
    createRepeated({ ...{ everyMs: sweepMs.revocations, ready, random }, work: revocations.sweep }),
  ]

  return {
    async store(em, given) {
      const lockTimes = shared ? times : undefined
      return opened(await storeGrant(em, given, { tokens, providers, times: lockTimes, now }))
    },
    find: (id, subject) => database.run((em) => findConnection(em, id, subject)),
    list: (query) => database.run((em) => listConnections(em, query)),
    latest: (subject, provider) => database.run((em) => latestConnection(em, subject, provider)),
    fresh: async (connection) => opened(await fresh(connection)),
    refresh: async (connection) => opened(await refresh(connection)),
    remove,
    start() {
      for (const { start } of background) start()
    },
    async stop() {
      stopping = true
      const ended = Promise.all([
        ...background.map(({ stop }) => stop()),
        ...[flights.settled(), pending.settled(), revocations.settled()],
      ]).then(() => {})
      await createPending().within(answerMs, ended, undefined)
      await late.stop()
    },
  }
}
