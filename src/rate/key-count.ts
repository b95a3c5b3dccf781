/** Requests that came close together: counted as one moment, that of the first of them. */
interface Runs {
  /** Ascending, in milliseconds of this process's monotonic clock. */
  times: number[]
  counts: number[]
  /** The first that still counts. */
  head: number
}

/** What has been let through of one user or address in the window that slides behind now. */
export interface KeyCount {
  /** User or address. */
  readonly who: string
  readonly windowMs: number
  readonly own: Runs
  /** Those of the other replicas, as they were heard of last. */
  others: Runs
  /** Of all replicas, as far as it is known. */
  used: number
  /** Its own runs have changed since they were written. */
  dirty: boolean
  /** It is to be shared. */
  awaitsSharing: boolean
  /** It was asked for since somebody looked for what can be forgotten. */
  recent: boolean
  /** Under which replicas share it; made when it is needed. */
  digest: string | undefined
}

/**
 * A run is this much of its window: a request may be forgotten so much too early. So no more than the limit is let
 * through in 99 % of the window, whoever times it how, and exactly the limit where requests keep coming.
 */
const runsPerWindow = 100

const noRuns = (): Runs => ({ times: [], counts: [], head: 0 })

export function createKeyCount(who: string, windowMs: number): KeyCount {
  return {
    ...{ who, windowMs, own: noRuns(), others: noRuns(), used: 0 },
    ...{ dirty: false, awaitsSharing: false, recent: false, digest: undefined },
  }
}

/** Drops what the window has left behind. */
export function slide(count: KeyCount, now: number): void {
  const since = now - count.windowMs
  count.used -= dropUntil(count.own, since) + dropUntil(count.others, since)
}

function dropUntil(runs: Runs, since: number): number {
  const { times, counts } = runs
  let { head } = runs
  let dropped = 0
  while (head < times.length && times[head]! <= since) dropped += counts[head++]!
  // Not each time: what is behind the head is moved.
  if (head > runsPerWindow || head === times.length) {
    times.splice(0, head)
    counts.splice(0, head)
    head = 0
  }
  runs.head = head
  return dropped
}

/** Counts one request. */
export function addOne(count: KeyCount, now: number): void {
  const { times, counts } = count.own
  const last = times.length - 1
  if (last >= 0 && now - times[last]! < count.windowMs / runsPerWindow) counts[last]! += 1
  else {
    times.push(now)
    counts.push(1)
  }
  count.used += 1
  count.dirty = true
}

/** When so many of those counted will have left the window, 1 for the next one; 0 where nothing is counted. */
export function freedAt({ own, others, windowMs }: KeyCount, needed: number): number {
  let [i, j] = [own.head, others.head]
  let freed = 0
  let time = 0
  while (freed < needed) {
    const mine = own.times[i] ?? Number.POSITIVE_INFINITY
    const theirs = others.times[j] ?? Number.POSITIVE_INFINITY
    if (mine === theirs && mine === Number.POSITIVE_INFINITY) break
    time = Math.min(mine, theirs)
    freed += mine <= theirs ? own.counts[i++]! : others.counts[j++]!
  }
  return freed === 0 ? 0 : time + windowMs
}

/**
 * Takes over what the other replicas have counted, in place of what was heard before.
 *
 * @param heard time and count, time and count … of each replica, in any order
 */
export function hear(count: KeyCount, heard: readonly number[], now: number): void {
  const runs: [time: number, requests: number][] = []
  for (let i = 0; i < heard.length; i += 2) {
    // Two clocks are never quite the same. What is far ahead was told by another clock.
    if (heard[i]! < now + 1000) runs.push([Math.min(heard[i]!, now), heard[i + 1]!])
  }
  runs.sort(([a], [b]) => a - b)
  slide(count, now)
  const { others } = count
  for (let i = others.head; i < others.counts.length; i++) count.used -= others.counts[i]!
  count.others = { times: runs.map(([time]) => time), counts: runs.map(([, n]) => n), head: 0 }
  for (const [, requests] of runs) count.used += requests
  slide(count, now)
}
