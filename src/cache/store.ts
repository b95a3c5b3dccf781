import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Budget } from './body.ts'
import type { Permit } from './policy.ts'

/** A reply that came whole. */
export interface Entry {
  readonly status: number
  /** Name, value, name, value …, without what is each reply's own: Age, Content-Length, X-Request-Id. */
  readonly head: readonly string[]
  readonly body: Buffer
  readonly permit: Permit
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  readonly date: string | undefined
}

/** The value of a header as the house is sent it; undefined where it is sent none. */
export type Selecting = (name: string) => string | undefined

export interface Found {
  readonly entry: Entry | undefined
  /** Where an entry for this very request is, or would be as far as is known. */
  readonly key: string
  /** Whether other entries are known for other headers of the request. */
  readonly varies: boolean
}

export interface Store extends Budget {
  /** The most bytes that a body may have. */
  readonly largestBody: number
  find(key: string, selecting: Selecting): Found
  /** @param vary lower-case names of the headers that select the reply, sorted */
  put(key: string, vary: readonly string[], selecting: Selecting, entry: Entry): void
  /** Everything under a key, whatever the headers. */
  forget(key: string): void
  /** This body is being sent: where it is put out meanwhile, it counts on until it is taken back. */
  lend(body: Buffer): void
  takeBack(body: Buffer): void
  readonly status: () => StoreStatus
}

export interface StoreStatus {
  readonly entries: number
  readonly bytes: number
  /** Put out for others since the start. */
  readonly evictions: number
}

/** Which headers select among the replies to one key (RFC 9111 §4.1): those of the latest. */
interface Variants {
  readonly vary: readonly string[]
  /** Part of the entries' keys: those of variants that were forgotten are never found again. */
  readonly stamp: number
}

const largestBody = 1024 * 1024
/** Of the object, its policy and its place in the store, beside what is counted. */
const overheadBytes = 1024
/** Of each name and value of a header, beside its characters. */
const textOverheadBytes = 32

/**
 * Stored replies in memory, the least recently used put out first. Three quarters of the memory are for them, one is for
 * bodies that are on their way, into the store or, put out meanwhile, to clients that read slowly.
 */
export function createStore(sizeBytes: number): Store {
  const maxSize = Math.floor(sizeBytes * 0.75)
  const mostPending = sizeBytes - maxSize
  let pending = 0
  let evictions = 0
  let stamps = 0
  const loans = new Map<Buffer, { readers: number; isOut: boolean }>()
  const stored = new LRUCache<string, Entry | Variants>({
    maxSize,
    sizeCalculation: sizeOf,
    dispose: (value, _key, reason) => {
      if (reason === 'evict') evictions += 1
      const loan = isEntry(value) ? loans.get(value.body) : undefined
      if (loan === undefined || loan.isOut) return
      loan.isOut = true
      pending += (value as Entry).body.length
    },
  })

  return {
    largestBody: Math.min(largestBody, Math.floor(sizeBytes / 8)),
    find(key, selecting) {
      const found = stored.get(key)
      if (found === undefined || isEntry(found)) return { entry: found, key, varies: false }
      const ofVariant = variantKey(key, found, selecting)
      const entry = stored.get(ofVariant)
      return {
        entry: entry !== undefined && isEntry(entry) ? entry : undefined,
        key: ofVariant,
        varies: true,
      }
    },
    put(key, vary, selecting, entry) {
      if (vary.length === 0) {
        stored.set(key, entry)
        return
      }
      const known = stored.get(key)
      const isSame = known !== undefined && !isEntry(known) && known.vary.join() === vary.join()
      if (!isSame) stamps += 1
      const variants = isSame ? known : { vary, stamp: stamps }
      if (!isSame) stored.set(key, variants)
      stored.set(variantKey(key, variants, selecting), entry)
    },
    forget: (key) => void stored.delete(key),
    take(bytes) {
      if (pending + bytes > mostPending) return false
      pending += bytes
      return true
    },
    giveBack(bytes) {
      pending -= bytes
    },
    lend(body) {
      const loan = loans.get(body)
      if (loan === undefined) loans.set(body, { readers: 1, isOut: false })
      else loan.readers += 1
    },
    takeBack(body) {
      const loan = loans.get(body)!
      loan.readers -= 1
      if (loan.readers > 0) return
      loans.delete(body)
      if (loan.isOut) pending -= body.length
    },
    status: () => ({ entries: stored.size, bytes: stored.calculatedSize + pending, evictions }),
  }
}

const isEntry = (value: Entry | Variants): value is Entry => 'body' in value

/** Hashed, since a selecting header may be a token or a cookie, which should not lie about in memory. */
function variantKey(key: string, { vary, stamp }: Variants, selecting: Selecting): string {
  const values = vary.map((name) => selecting(name) ?? null)
  return `${key}\n${stamp}\n${hash('sha256', JSON.stringify(values), 'base64')}`
}

function sizeOf(value: Entry | Variants, key: string): number {
  const texts = isEntry(value) ? value.head : value.vary
  let size = overheadBytes + key.length
  for (const text of texts) size += text.length + textOverheadBytes
  return isEntry(value) ? size + value.body.length : size
}
