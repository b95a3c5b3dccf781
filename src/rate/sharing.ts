import { hash } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import { describeFault } from '../persistence/faults.ts'
import { hear, type KeyCount, slide } from './key-count.ts'
import type { CountedLimit } from './route-rate.ts'
import { createSharedTable } from './shared-table.ts'

/** Exchanges counts with the other replicas, in the background. */
export interface Sharing {
  /** Has it told to them, and theirs asked for, soon. Not to be called for one that awaits sharing. */
  readonly share: (count: KeyCount, limit: Pick<CountedLimit, 'key' | 'seconds'>, now: number) => void
  /** How long the oldest of what is to be shared has waited. */
  readonly lagMs: () => number
  /** Tells what has not been told, where the database is there. Never rejects. */
  stop(): Promise<void>
}

export interface SharingOptions {
  readonly database: Pick<Database, 'run'>
  readonly schema: string
  /** Everything that is counted. */
  readonly all: () => Iterable<KeyCount>
  readonly log: Log
  readonly now: () => number
}

/** Of one statement. */
const mostKeys = 500

/**
 * That wait. Others are told with a later request of theirs, or all together once the database is back: while it is
 * away those that are forgotten would be kept here.
 */
const mostWaiting = 50_000

/** What a stop may take. */
const mostStopMs = 2000

/** After the database was away. */
const pauseMs = 1000

/** How long a count may wait before it is told: longer where the window is, so that the error is the same. */
const waitMs = (seconds: number) => Math.min(100, Math.max(5, seconds))

/**
 * One statement at a time: it writes what this replica has let through, of the keys that were asked for since the one
 * before, and reads what the others have. Each replica writes rows of its own, with all that counts in them and
 * nothing added up: a statement of which nobody knows whether it was carried out is simply sent again.
 */
export function createSharing({ database, schema, all, log, now }: SharingOptions): Sharing {
  const table = createSharedTable({ database, schema, now })
  /** By digest: of one that was forgotten and has come again there may be two, and a statement writes a row once. */
  const waiting = new Map<string, KeyCount>()
  let timer: NodeJS.Timeout | undefined
  /** When the first of those that wait is to be told. */
  let dueAt = Number.POSITIVE_INFINITY
  /** Of the oldest that waits, and of the oldest that is on its way. */
  let waitingSince: number | undefined
  let sentSince: number | undefined
  let running: Promise<void> | undefined
  let failing = false
  let stopped = false

  function enqueue(count: KeyCount, digest: string, at: number): void {
    count.awaitsSharing = true
    waiting.set(digest, count)
    waitingSince ??= at
  }

  function arm(): void {
    if (running !== undefined || stopped) return
    clearTimeout(timer)
    timer = setTimeout(begin, failing ? pauseMs : Math.max(0, dueAt - now()))
    timer.unref()
  }

  function begin(): void {
    dueAt = Number.POSITIVE_INFINITY
    running = exchange().then(() => {
      running = undefined
      if (waiting.size > 0) arm()
    })
  }

  /** The table is emptied where the server crashes, and is not on another one. */
  function tellAgain(): void {
    for (const count of all()) {
      if (count.digest === undefined || count.awaitsSharing) continue
      count.dirty = true
      enqueue(count, count.digest, now())
    }
    dueAt = now()
  }

  function takeBatch(): KeyCount[] {
    const batch: KeyCount[] = []
    for (const [digest, count] of waiting) {
      if (batch.length === mostKeys) break
      waiting.delete(digest)
      batch.push(count)
    }
    return batch
  }

  async function exchange(): Promise<void> {
    const batch = takeBatch()
    sentSince = waitingSince
    if (waiting.size === 0) waitingSince = undefined
    else dueAt = now()
    const written = batch.filter(({ dirty }) => dirty)
    for (const count of batch) {
      slide(count, now())
      count.awaitsSharing = false
      count.dirty = false
    }
    try {
      const { runs, isNewServer } = await table.exchange(batch, written)
      for (const count of batch) hear(count, runs.get(count.digest!) ?? [], now())
      if (failing) log.info({}, 'rate limits are shared with other replicas again')
      if (failing || isNewServer) tellAgain()
      failing = false
    } catch (error) {
      // It is the database that tells why it is away.
      const isAway = error instanceof GatewayError
      const fields = isAway ? {} : { fault: describeFault(error) }
      if (!failing) log.warn(fields, 'rate limits are not shared with other replicas for now')
      failing = true
      for (const count of written) count.dirty = true
      for (const count of batch) if (!waiting.has(count.digest!)) enqueue(count, count.digest!, now())
      waitingSince = sentSince
    }
    sentSince = undefined
  }

  return {
    share(count, { key, seconds }, at) {
      count.digest ??= hash('sha256', `${key} ${count.who}`, 'base64url')
      if (waiting.size >= mostWaiting) return
      enqueue(count, count.digest, at)
      const wantedAt = at + waitMs(seconds)
      if (wantedAt >= dueAt) return
      dueAt = wantedAt
      if (!failing) arm()
    },
    lagMs: () => Math.max(0, now() - (sentSince ?? waitingSince ?? now())),
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
      const until = now() + mostStopMs
      while (!failing && waiting.size > 0 && now() < until) await exchange()
    },
  }
}
