import type { GatewayError } from '../errors.ts'
import type { Recorder } from '../proxy/recorder.ts'
import { type Collector, createCollector } from './body.ts'
import { entryOf, freshened, isConfirmed, type Storable, storableOf, varyOf } from './entry.ts'
import type { Landing } from './flights.ts'
import { servesOnError } from './policy.ts'
import type { Entry, Selecting, Store } from './store.ts'

/** What a house is asked for on behalf of the cache as well as of a client. */
export interface FillOptions {
  readonly store: Store
  readonly key: string
  readonly selecting: Selecting
  readonly isCredentialed: boolean
  /** False where the client forbids it. */
  readonly mayStore: boolean
  readonly defaultSeconds: number
  /** Whether the gateway itself says which origins are let in. */
  readonly isCorsOurs: boolean
  /** Why it is asked, in the words of RFC 9211 §2.2. */
  readonly reason: string
  /** The stored reply that the request's conditions are of. */
  readonly stale: Entry | undefined
  /** Whether the reply is of the service that was meant: a canary may have passed the request on. */
  readonly isOfService: () => boolean
  /** Answers the client from the store, where there is one; `head` is the entry's where it is left out. */
  readonly serve: (
    entry: Entry,
    text: string,
    result: 'revalidated' | 'stale',
    head?: readonly string[],
  ) => void
  /** Once, when nobody needs to wait any longer. */
  readonly landed: (landing: Landing) => void
  readonly onStored: () => void
  /** Once, when nothing more will come. */
  readonly over: () => void
}

/** Ends in a stored reply, where all goes well. */
export interface Fill extends Recorder {
  /** What is asked for has been changed: whatever comes is not stored. */
  spoil(): void
}

/** Others wait so long for a client that takes nothing of the reply which they would be given as well. */
const longestHoldMs = 500

/** RFC 5861 §4 */
const errorStatuses = new Set([500, 502, 503, 504])

/** Records a house's reply, and takes a 304 to a condition of the cache's own for what it is. */
export function createFill(options: FillOptions): Fill {
  const { store, key, selecting, stale, reason, isCredentialed, defaultSeconds, landed } = options
  const askedAt = Date.now()
  let storable: Storable | undefined
  let status = 0
  let body: Collector | undefined
  let isSpoiled = false
  let hasLanded = false
  let isOver = false
  let holding: NodeJS.Timeout | undefined

  function land(landing: Landing): void {
    if (hasLanded) return
    hasLanded = true
    clearTimeout(holding)
    landed(landing)
  }

  const judged = (ofStatus: number, head: readonly string[]) =>
    options.mayStore && !isSpoiled && options.isOfService()
      ? storableOf(ofStatus, head, { askedAt, receivedAt: Date.now() }, request)
      : undefined
  const request = { isCredentialed, noStore: false, defaultSeconds }

  function keep(entry: Entry, headers: Readonly<Record<string, string>>): void {
    store.put(key, varyOf(headers, options.isCorsOurs), selecting, entry)
    options.onStored()
    const { policy } = entry.permit
    // One that everybody has to ask after is not worth waiting for; one that is merely old may be, the next time.
    land(policy.maxAge() <= 0 ? 'unshared' : policy.stale() ? 'alone' : 'stored')
  }

  /** The house says that the stored reply is good: it is fresh again, as long as the 304 says. */
  function renew(entry: Entry, head: readonly string[]): void {
    // About another one it may be: under that one's ETag the client would keep this one's body.
    const renewedHead = isConfirmed(entry, head) ? freshened(entry, head) : undefined
    const renewed = renewedHead && judged(entry.status, renewedHead)
    if (renewed === undefined) {
      if (!isSpoiled && options.mayStore) store.forget(key)
      options.serve(entry, `fwd=${reason}; fwd-status=304`, 'revalidated', renewedHead)
      land('unshared')
      return
    }
    const now = entryOf(entry.status, renewed, entry.body)
    keep(now, renewed.headers)
    options.serve(now, `fwd=${reason}; fwd-status=304; stored`, 'revalidated')
  }

  return {
    begins(replyStatus, headers, head) {
      status = replyStatus
      // What the gateway says of it itself comes first.
      const own = head.slice(2)
      if (stale !== undefined) {
        if (status === 304) {
          renew(stale, own)
          return false
        }
        if (errorStatuses.has(status) && servesOnError(stale.permit)) {
          options.serve(stale, `fwd=${reason}; fwd-status=${status}; detail=stale-if-error`, 'stale')
          land('alone')
          return false
        }
      }
      const length = status === 204 ? 0 : lengthOf(headers)
      storable = length === undefined && !isChunked(headers) ? undefined : judged(status, own)
      if (storable !== undefined && (length ?? 0) <= store.largestBody) {
        body = createCollector(store, length, store.largestBody)
      }
      // It is another one now, and that one is not to be stored: so is not the one that it takes the place of.
      else if (stale !== undefined && status < 500 && options.mayStore) store.forget(key)
      if (body === undefined) land(status < 500 ? 'unshared' : 'alone')
      head.push('cache-status', `munjigi; fwd=${reason}${body === undefined ? '' : '; stored'}`)
      return true
    },
    data(chunk) {
      if (body === undefined || body.add(chunk)) return body !== undefined
      body = undefined
      land('unshared')
      return false
    },
    holds(isHeld) {
      clearTimeout(holding)
      // Or one client that reads nothing would have everybody wait. It may still bring the reply, if it comes first.
      if (isHeld && !hasLanded) holding = setTimeout(land, longestHoldMs, 'again')
    },
    ends() {
      if (body === undefined || storable === undefined) return
      if (!isSpoiled) keep(entryOf(status, storable, body.whole()), storable.headers)
      body.drop()
      body = undefined
    },
    replaces(error) {
      if (stale === undefined || !errorStatuses.has(error.status) || !servesOnError(stale.permit))
        return false
      options.serve(stale, `fwd=${reason}; detail=${error.code}`, 'stale')
      land('alone')
      return true
    },
    over(failure) {
      if (isOver) return
      isOver = true
      body?.drop()
      body = undefined
      land(isClientsDoing(failure) || isSpoiled ? 'again' : 'alone')
      options.over()
    },
    spoil() {
      isSpoiled = true
    },
  }
}

const isClientsDoing = (failure: GatewayError | undefined) =>
  failure?.code === 'client_closed_request' || failure?.code === 'request_timeout'

type Headers = Parameters<Recorder['begins']>[1]

const lengthOf = ({ 'content-length': length }: Headers) =>
  typeof length === 'string' ? Number(length) : undefined

/**
 * Ends with its last chunk. A body that has neither that nor a length ends with the connection, and might have been cut
 * off (RFC 9112 §8): such a one is never stored.
 */
const isChunked = (headers: Headers) => headers['transfer-encoding'] !== undefined
